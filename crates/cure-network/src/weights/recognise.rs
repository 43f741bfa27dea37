use std::collections::HashMap;

use super::{WeightFile, canonical};

/// A network told from its tensors' names and shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// `resnet20` (also 32, 44, 56, 110, …; shortcuts without parameters), `resnet20-conv`
    /// (shortcuts by convolution), `resnet18`, `preact18`, `wrn-28-10` (any depth and width) or
    /// `resnet2b`.
    pub architecture: String,
    /// How many classes its last layer tells apart.
    pub classes: usize,
    /// How many channels its first layer expects.
    pub channels: usize,
}

/// Names the network that the tensors of `file` are of, if it is one of ours.
pub fn recognise(file: &WeightFile) -> Option<Recognised> {
    let canonical = canonical(file).ok()?;
    let shapes = canonical.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape()));
    let shapes = Shapes(shapes.collect());
    shapes.wide().or_else(|| shapes.residual()).or_else(|| shapes.resnet2b())
}

struct Shapes<'a>(HashMap<&'a str, &'a [usize]>);

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// `[output, input]` channels of a 3×3 convolution.
    fn convolution(&self, name: &str) -> Option<[usize; 2]> {
        if let &[output, input, 3, 3] = *self.0.get(name)? { Some([output, input]) } else { None }
    }

    /// `[outputs, inputs]` of a linear layer.
    fn linear(&self, name: &str) -> Option<[usize; 2]> {
        <[usize; 2]>::try_from(*self.0.get(name)?).ok()
    }

    /// For each stage, how many blocks it has and the channels they end with. `prefix` names the
    /// stage that it is given.
    fn stages(&self, prefix: impl Fn(usize) -> String) -> Option<Vec<[usize; 2]>> {
        let mut stages = Vec::new();
        // No network of ours has more than four.
        while stages.len() < 8 {
            let stage = prefix(stages.len() + 1);
            let block = |index: usize| format!("{stage}{index}.conv2.weight");
            let blocks = (0..).take_while(|&index| self.has(&block(index))).count();
            if blocks == 0 {
                return (!stages.is_empty()).then_some(stages);
            }
            stages.push([blocks, self.convolution(&block(0))?[0]]);
        }
        None
    }

    /// Zagoruyko and Komodakis: depth 6n + 4, widths 16k, 32k, 64k.
    fn wide(&self) -> Option<Recognised> {
        let stages = self.stages(|stage| format!("block{stage}.layer."))?;
        let [first, channels] = self.convolution("conv1.weight")?;
        let [classes, features] = self.linear("fc.weight")?;
        let [blocks, width] = stages[0];
        let widths = [width, width.checked_mul(2)?, width.checked_mul(4)?];
        let expected = widths.map(|width| [blocks, width]);
        if stages != expected || first != 16 || width % 16 != 0 || features != widths[2] {
            return None;
        }
        let architecture = format!("wrn-{}-{}", 6 * blocks + 4, width / 16);
        Some(Recognised { architecture, classes, channels })
    }

    /// He et al.: three stages of n blocks from width 16 (depth 6n + 2), or ResNet-18.
    fn residual(&self) -> Option<Recognised> {
        let stages = self.stages(|stage| format!("layer{stage}."))?;
        let [width, channels] = self.convolution("conv1.weight")?;
        let [classes, features] = self.linear("linear.weight")?;
        let doubling = stages.iter().enumerate().all(|(index, stage)| stage[1] == width << index);
        let bottleneck = self.has("layer1.0.conv3.weight");
        let [_, last] = *stages.last()?;
        let norm = *self.0.get("layer2.0.bn1.weight")?;
        if !doubling || bottleneck || features != last {
            return None;
        }
        let before_convolution = norm == [width];
        let shortcut = |stage: usize| self.has(&format!("layer{stage}.0.shortcut.0.weight"));
        let shortcuts: Vec<bool> = (2..=stages.len()).map(shortcut).collect();
        let blocks: Vec<usize> = stages.iter().map(|stage| stage[0]).collect();
        let architecture = match (blocks.as_slice(), width, before_convolution) {
            ([2, 2, 2, 2], 64, false) if shortcuts == [true; 3] => "resnet18".to_owned(),
            ([2, 2, 2, 2], 64, true) if shortcuts == [true; 3] => "preact18".to_owned(),
            (&[n, second, third], 16, false) if second == n && third == n => match shortcuts[..] {
                [false, false] => format!("resnet{}", 6 * n + 2),
                [true, true] => format!("resnet{}-conv", 6 * n + 2),
                _ => return None,
            },
            _ => return None,
        };
        Some(Recognised { architecture, classes, channels })
    }

    /// The small residual network without BatchNorm of α,β-CROWN's CIFAR-10 models.
    fn resnet2b(&self) -> Option<Recognised> {
        let stages = self.stages(|stage| format!("layer{stage}."))?;
        let [width, channels] = self.convolution("conv1.weight")?;
        let [hidden, features] = self.linear("linear1.weight")?;
        let [classes, last] = self.linear("linear2.weight")?;
        let norm = self.0.keys().any(|name| name.contains("bn"));
        // 16 channels of 8×8 pixels at the end.
        let ours = stages == [[2, 16]] && width == 8 && features == 1024 && hidden == last && !norm;
        let architecture = "resnet2b".to_owned();
        ours.then_some(Recognised { architecture, classes, channels })
    }
}
