// What tch has no binding for.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <array>
#include <cstring>

extern "C" {

// Of convolutions and matrix products on GPUs.
void cure_allow_tf32(int allow) {
  at::globalContext().setAllowTF32CuDNN(allow != 0);
  at::globalContext().setAllowTF32CuBLAS(allow != 0);
}

// Null, or a message to be freed by the caller.
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
