//! Providers: who is reached how, and the real transport.
//!
//! Vendors are rows of data ([`vendor`]); what differs between them is a field of their row.
//! A [`Provider`] sends one request and reads one answer. It neither retries nor times out: the
//! request's state machine does.

mod batches;
mod fixtures;
mod key;
mod prices;
mod provider;
mod transport;
mod vendors;

pub use batches::{BatchFile, BatchLines, Batches};
pub use fixtures::{RecordTransport, ReplayTransport};
pub use prices::{ListedModel, PriceList, PriceListError, PriceSource, Retirement, list_price, retirement};
pub use provider::{BODY_BYTES_MAX, Besides, Provider, ProviderError, Reply, ReplyStream};
pub use transport::{CONNECT_TIMEOUT, HttpTransport};
pub use vendors::{VENDORS, Vendor, vendor};
