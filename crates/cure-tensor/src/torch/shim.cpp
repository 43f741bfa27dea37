// What tch has no binding for.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

extern "C" {

// Of convolutions and matrix products on GPUs: whether they may round factors to TF32. Of cuDNN's ways those are taken
// that give the same bits each time.
void cure_set_up(int allow) {
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setAllowTF32CuDNN(allow != 0);
  at::globalContext().setAllowTF32CuBLAS(allow != 0);
}

// All that follow: null, or a message to be freed by the caller.

// y + factor x, in one pass.
char *cure_add(at::Tensor **out, const at::Tensor *y, const at::Tensor *x, double factor) {
  try {
    *out = new at::Tensor(at::add(*y, *x, factor));
    return nullptr;
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

// The largest size of each tensor's values, in a row of f32: NaN where one of them is. Some launches for all of them,
// where each would take several of its own.
char *cure_largest(at::Tensor **out, const at::Tensor *const *tensors, size_t count) {
  try {
    std::vector<at::Tensor> list;
    for (size_t i = 0; i < count; i++) list.push_back(*tensors[i]);
    auto largest = at::_foreach_norm(list, std::numeric_limits<double>::infinity());
    *out = new at::Tensor(at::stack(largest));
    return nullptr;
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

// One tensor for the gradient of the input, or two for those of scale and shift.
char *cure_batch_norm_backward(at::Tensor **out, const at::Tensor *g, const at::Tensor *x,
                               const at::Tensor *scale, const at::Tensor *mean,
                               const at::Tensor *inverse, int of_input) {
  try {
    bool input = of_input != 0;
    // With statistics at hand, epsilon is not looked at.
    auto found = at::native_batch_norm_backward(*g, *x, *scale, c10::nullopt, c10::nullopt, *mean,
                                                *inverse, true, 0.0, {input, !input, !input});
    if (input) {
      out[0] = new at::Tensor(std::get<0>(found));
    } else {
      out[0] = new at::Tensor(std::get<1>(found));
      out[1] = new at::Tensor(std::get<2>(found));
    }
    return nullptr;
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

char *cure_convolution_backward(at::Tensor **out, const at::Tensor *g, const at::Tensor *x,
                                const at::Tensor *weight, int64_t stride, int64_t padding,
                                int64_t groups, int of_weight) {
  try {
    std::array<bool, 3> mask = {!of_weight, static_cast<bool>(of_weight), false};
    auto found = at::convolution_backward(*g, *x, *weight, c10::nullopt, {stride, stride},
                                          {padding, padding}, {1, 1}, false, {0, 0}, groups, mask);
    *out = new at::Tensor(of_weight ? std::get<1>(found) : std::get<0>(found));
    return nullptr;
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}
}
