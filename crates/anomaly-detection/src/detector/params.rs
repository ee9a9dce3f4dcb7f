//! The declaration of detector parameters, in linfa's way: `XParams` wraps `XValidParams`, and only a check unwraps it.

/// Declares the parameters of a detector. Each line names a parameter, its setter, its type and its default:
///
/// ```text
/// params! {
///     /// The parameters of a [`Knn`].
///     KnnParams => KnnValidParams {
///         /// How many nearest rows count. Default 5.
///         n_neighbors, with_n_neighbors: usize = 5,
///     }
/// }
/// ```
///
/// `XParams` has setters and getters, `XValidParams` only getters. The getter of a type that is not `Copy` borrows it, `as`
/// another type. `XValidParams::check_values`, which checks the ranges, is written by hand.
macro_rules! params {
    (
        $(#[$doc:meta])*
        $params:ident => $valid:ident {
            $($(#[$field_doc:meta])* $field:ident, $with:ident: $type:ty $(as $view:ty)? = $default:expr,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize)]
        pub struct $params($valid);

        #[doc = concat!("Checked [`", stringify!($params), "`], which fit a detector.")]
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize)]
        pub struct $valid {
            $($field: $type,)*
        }

        impl Default for $params {
            fn default() -> Self {
                Self($valid { $($field: $default,)* })
            }
        }

        impl $params {
            /// The defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.0.$field = $field;
                    self
                }
            )*

            $($crate::detector::params::getter! {
                $(#[$field_doc])* $field(self => self.0.$field): $type $(as $view)?
            })*
        }

        impl $valid {
            $($crate::detector::params::getter! {
                $(#[$field_doc])* $field(self => self.$field): $type $(as $view)?
            })*
        }

        impl ::linfa::ParamGuard for $params {
            type Checked = $valid;
            type Error = $crate::error::Error;

            fn check_ref(&self) -> $crate::error::Result<&$valid> {
                self.0.check_values()?;
                Ok(&self.0)
            }

            fn check(self) -> $crate::error::Result<$valid> {
                self.0.check_values()?;
                Ok(self.0)
            }
        }

        impl From<$valid> for $params {
            fn from(valid: $valid) -> Self {
                Self(valid)
            }
        }

        // only `XParams` can be deserialised, since stored values are not checked yet
        impl<'de> ::serde::Deserialize<'de> for $params {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(::serde::Deserialize)]
                struct Fields {
                    $($field: $type,)*
                }
                let Fields { $($field,)* } = Fields::deserialize(deserializer)?;
                Ok(Self($valid { $($field,)* }))
            }
        }
    };
}

macro_rules! getter {
    ($(#[$doc:meta])* $field:ident($self:ident => $value:expr): $type:ty) => {
        $(#[$doc])*
        pub fn $field(&$self) -> $type {
            $value
        }
    };
    ($(#[$doc:meta])* $field:ident($self:ident => $value:expr): $type:ty as $view:ty) => {
        $(#[$doc])*
        pub fn $field(&$self) -> &$view {
            &$value
        }
    };
}

pub(super) use {getter, params};

#[cfg(test)]
mod tests;
