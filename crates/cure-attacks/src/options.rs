//! What the options of all attacks say alike.

/// The methods of [`Attack`](crate::Attack) that are the same for all options: in a file with an
/// `ENTRY`, of a struct with `norm`, `epsilon` (a length, or an option of one) and `region`. They
/// are named one by one, so that an attack can have its own in their place.
macro_rules! usual {
    (@name $attack:path) => {
        fn name(&self) -> &'static str {
            ENTRY.name
        }
    };
    (@norm $attack:path) => {
        fn norm(&self) -> $crate::epsilon::Norm {
            self.norm
        }
    };
    (@epsilon $attack:path) => {
        fn epsilon(&self) -> Option<$crate::epsilon::Epsilon> {
            self.epsilon.into()
        }
    };
    (@at $attack:path) => {
        fn at(&self, epsilon: $crate::epsilon::Epsilon) -> $crate::attack::AttackSpec {
            $crate::attack::AttackSpec::new(Self { epsilon: epsilon.into(), ..self.clone() })
        }
    };
    (@region $attack:path) => {
        fn region(&self) -> Option<&$crate::region::Region> {
            self.region.as_ref()
        }

        fn within(
            &self,
            region: $crate::region::Region,
        ) -> $crate::error::Result<$crate::attack::AttackSpec> {
            Ok($crate::attack::AttackSpec::new(Self { region: Some(region), ..self.clone() }))
        }
    };
    (@run $attack:path) => {
        fn run(
            &self,
            classifier: &dyn cure_network::Classifier,
            images: &cure_tensor::Tensor,
            labels: &[usize],
            streams: &$crate::streams::Streams<'_>,
        ) -> $crate::error::Result<$crate::adversarial::Adversarial> {
            $attack(classifier, images, labels, self, streams)
        }
    };
    ($attack:path: $($method:ident),+) => {
        $($crate::options::usual!(@$method $attack);)+
    };
}

pub(crate) use usual;
