//! Providers: vendors as rows of data, authentication, and the pooled HTTP transport.

mod http;
mod prices;
mod provider;
mod vendors;

pub use http::HttpTransport;
pub use prices::list_price;
pub use provider::{Provider, ProviderError, Reply, ReplyStream};
pub use vendors::vendor_names;
