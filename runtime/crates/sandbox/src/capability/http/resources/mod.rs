//! The handles of `wasi:http/types`, with what they hold charged to the collection.
//!
//! The library keeps requests, header fields and responses for as long as a guest holds their
//! handles, and bounds only how many there are. Here each is what the library makes of it, and
//! beside that: texts are measured before they are parsed, and what a handle holds is charged to
//! the collection's [`Account`] until the handle is dropped. Every method of the interface is
//! named, so that one which a later version adds cannot be forgotten.

mod incoming;
mod outgoing;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi_http::{
    FieldMap, WasiHttpCtxView,
    p2::{
        HeaderError, HeaderResult, HttpError, HttpResult,
        bindings::{
            LinkOptions,
            http::{outgoing_handler, types},
        },
        types::{HostFutureIncomingResponse, HostOutgoingRequest},
    },
};

use super::{
    counted_client::{Web, field},
    wasi_http::{PIECE, field_size_limit},
};
use crate::capability::{Account, Host, HostView, LimitReached, host_memory::Handles, limit_reached::Reached};

/// What a body that is written holds: a piece that is not read yet, and one that is being written.
const WRITTEN: usize = 2 * PIECE;
/// The longest scheme; those that are granted have five letters.
const SCHEME: usize = 64;

/// The part of a [`Host`] that the handles need.
pub(super) struct View<'a> {
    library: WasiHttpCtxView<'a>,
    account: &'a Account,
    handles: &'a mut Handles,
    web: &'a Web,
    reached: &'a Reached,
}

/// Gives the library a [`View`] of the data of a store.
pub(super) struct Resources;

impl HasData for Resources {
    type Data<'a> = View<'a>;
}

/// Adds `wasi:http` to `linker`.
pub(super) fn add_to_linker<T: HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    outgoing_handler::add_to_linker::<T, Resources>(linker, view::<T>)?;
    types::add_to_linker::<T, Resources>(linker, &LinkOptions::default().into(), view::<T>)
}

fn view<T: HostView>(data: &mut T) -> View<'_> {
    data.host().web_resources()
}

impl Host {
    fn web_resources(&mut self) -> View<'_> {
        View {
            library: WasiHttpCtxView {
                ctx: &mut self.capabilities.http.ctx,
                table: &mut self.resources,
                hooks: &mut self.capabilities.http.hooks,
            },
            account: &self.context.account,
            handles: &mut self.handles,
            web: &self.capabilities.http.web,
            reached: &self.context.reached,
        }
    }
}

/// What header fields take.
fn fields_size(fields: &FieldMap) -> usize {
    fields.iter().map(|(name, value)| field(name.as_str().len(), value.len())).fold(0, usize::saturating_add)
}

/// What a method, scheme or other text that is not there counts.
fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::capacity)
}

/// What a request takes.
fn request_size(request: &HostOutgoingRequest) -> usize {
    let method = if let types::Method::Other(method) = &request.method { method.capacity() } else { 0 };
    let scheme = if let Some(types::Scheme::Other(scheme)) = &request.scheme { scheme.capacity() } else { 0 };
    let body = if request.body.is_some() { WRITTEN } else { 0 };
    let url = text(request.authority.as_ref()).saturating_add(text(request.path_with_query.as_ref()));
    [method, scheme, body, url, fields_size(&request.headers)].into_iter().fold(0, usize::saturating_add)
}

impl View<'_> {
    fn hold(&mut self, handle: u32, bytes: usize) -> Result<(), LimitReached> {
        self.handles.hold(self.account, handle, bytes)
    }

    /// Charges the fields behind a handle.
    fn hold_fields(&mut self, fields: Resource<FieldMap>) -> wasmtime::Result<Resource<FieldMap>> {
        let size = fields_size(self.library.table.get(&fields)?);
        self.hold(fields.rep(), size)?;
        Ok(fields)
    }

    /// Charges the request behind a handle.
    fn hold_request(&mut self, handle: u32) -> wasmtime::Result<()> {
        let size = request_size(self.library.table.get(&borrowed(handle))?);
        Ok(self.hold(handle, size)?)
    }

    /// Whether a name and values may be looked at: no more than all fields of a request together
    /// may have.
    fn measured(&self, name: &str, values: &[Vec<u8>]) -> Result<(), LimitReached> {
        const PER_VALUE: usize = 40;
        let of = |value: &Vec<u8>| value.len().saturating_add(PER_VALUE);
        let bytes = values.iter().map(of).fold(name.len(), usize::saturating_add);
        if bytes <= field_size_limit(self.web.limits()) {
            return Ok(());
        }
        let limit = self.web.limits().request_header_bytes;
        Err(LimitReached::of_bytes("the header fields of a request", limit, "request_header_bytes"))
    }

    /// Whether a part of a URL may be looked at. If not, the operator is told why: the interface
    /// has no words for it.
    fn is_of_url(&self, part: Option<&String>) -> bool {
        let limit = self.web.limits().url_bytes;
        let fits = part.is_none_or(|part| part.len() as u64 <= limit);
        if !fits {
            self.reached.say(LimitReached::of_bytes("a URL", limit, "url_bytes"));
        }
        fits
    }
}

fn borrowed<T: 'static>(handle: u32) -> Resource<T> {
    Resource::new_borrow(handle)
}

impl outgoing_handler::Host for View<'_> {
    fn handle(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        options: Option<Resource<types::RequestOptions>>,
    ) -> HttpResult<Resource<HostFutureIncomingResponse>> {
        let handle = request.rep();
        // What is sent charges for itself: see `WebHooks`.
        let sent = self.library.handle(request, options);
        self.handles.release(handle);
        sent
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: HttpError) -> wasmtime::Result<types::ErrorCode> {
        self.library.convert_error_code(error)
    }

    fn convert_header_error(&mut self, error: HeaderError) -> wasmtime::Result<types::HeaderError> {
        self.library.convert_header_error(error)
    }

    fn http_error_code(&mut self, error: Resource<types::IoError>) -> wasmtime::Result<Option<types::ErrorCode>> {
        self.library.http_error_code(error)
    }
}

impl types::HostFields for View<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<FieldMap>> {
        types::HostFields::new(&mut self.library)
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<FieldMap>> {
        let fields = self.library.from_list(entries)?;
        self.hold_fields(fields).map_err(HeaderError::trap)
    }

    fn get(&mut self, fields: Resource<FieldMap>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        self.measured(&name, &[])?;
        self.library.get(fields, name)
    }

    fn has(&mut self, fields: Resource<FieldMap>, name: String) -> wasmtime::Result<bool> {
        self.measured(&name, &[])?;
        self.library.has(fields, name)
    }

    fn set(&mut self, fields: Resource<FieldMap>, name: String, values: Vec<Vec<u8>>) -> HeaderResult<()> {
        self.measured(&name, &values).map_err(HeaderError::trap)?;
        let handle = fields.rep();
        self.library.set(fields, name, values)?;
        self.hold_fields(borrowed(handle)).map_err(HeaderError::trap)?;
        Ok(())
    }

    fn delete(&mut self, fields: Resource<FieldMap>, name: String) -> HeaderResult<()> {
        self.measured(&name, &[]).map_err(HeaderError::trap)?;
        self.library.delete(fields, name)
    }

    fn append(&mut self, fields: Resource<FieldMap>, name: String, value: Vec<u8>) -> HeaderResult<()> {
        let values = [value];
        self.measured(&name, &values).map_err(HeaderError::trap)?;
        let [value] = values;
        let handle = fields.rep();
        self.library.append(fields, name, value)?;
        self.hold_fields(borrowed(handle)).map_err(HeaderError::trap)?;
        Ok(())
    }

    fn entries(&mut self, fields: Resource<FieldMap>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        self.library.entries(fields)
    }

    fn clone(&mut self, fields: Resource<FieldMap>) -> wasmtime::Result<Resource<FieldMap>> {
        let copy = types::HostFields::clone(&mut self.library, fields)?;
        self.hold_fields(copy)
    }

    fn drop(&mut self, fields: Resource<FieldMap>) -> wasmtime::Result<()> {
        self.handles.release(fields.rep());
        types::HostFields::drop(&mut self.library, fields)
    }
}
