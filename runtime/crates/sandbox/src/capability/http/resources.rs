//! The handles of `wasi:http/types`, with what they hold charged to the collection.
//!
//! The library keeps requests, header fields and responses for as long as a guest holds their handles, and bounds only how many
//! there are. Here each is what the library makes of it, and beside that: texts are measured before they are parsed, and what a
//! handle holds is charged to the collection's [`Account`] until the handle is dropped. Every method of the interface is named, so
//! that one which a later version adds cannot be forgotten.

use pattoo_fetch::MAX_METHOD;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::{
    FieldMap, WasiHttpCtxView,
    p2::{
        HeaderError, HeaderResult, HttpError, HttpResult,
        bindings::{
            LinkOptions,
            http::{outgoing_handler, types},
        },
        body::{HostFutureTrailers, HostIncomingBody, HostOutgoingBody},
        types::{
            HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest,
            HostOutgoingResponse, HostResponseOutparam,
        },
    },
};

use super::{
    Web, field,
    wasi::{PIECE, field_size_limit},
};
use crate::capability::{Account, Host, LimitReached, account::Handles, limits::Reached};

/// What a body that is written holds: a piece that nobody read yet, and one that is being written.
const WRITTEN: usize = 2 * PIECE;
/// The longest scheme; those that are granted have five letters.
const SCHEME: usize = 64;

/// The part of a [`Host`] that the handles need.
pub(in crate::capability) struct View<'a> {
    library: WasiHttpCtxView<'a>,
    account: &'a Account,
    handles: &'a mut Handles,
    web: &'a Web,
    reached: &'a Reached,
}

/// Whoever has a [`Host`].
pub(in crate::capability) struct Resources;

impl HasData for Resources {
    type Data<'a> = View<'a>;
}

/// Stores whose data holds a [`Host`].
pub trait HostView: Send {
    /// The host of the collection.
    fn host(&mut self) -> &mut Host;
}

impl HostView for Host {
    fn host(&mut self) -> &mut Host {
        self
    }
}

/// Adds `wasi:http` to `linker`.
pub(in crate::capability) fn add_to_linker<T: HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
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
                ctx: &mut self.wasi_http,
                table: &mut self.resources,
                hooks: &mut self.web_hooks,
            },
            account: &self.account,
            handles: &mut self.handles,
            web: &self.web,
            reached: &self.reached,
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

    /// Whether a name and values may be looked at: no more than all fields of a request together may have.
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

    /// Whether a part of a URL may be looked at. If not, the operator is told why: the interface has no words for it.
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

impl types::HostIncomingRequest for View<'_> {
    fn method(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<types::Method> {
        types::HostIncomingRequest::method(&mut self.library, request)
    }

    fn path_with_query(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostIncomingRequest::path_with_query(&mut self.library, request)
    }

    fn scheme(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<types::Scheme>> {
        types::HostIncomingRequest::scheme(&mut self.library, request)
    }

    fn authority(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostIncomingRequest::authority(&mut self.library, request)
    }

    fn headers(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostIncomingRequest::headers(&mut self.library, request)?;
        self.hold_fields(fields)
    }

    fn consume(
        &mut self,
        request: Resource<HostIncomingRequest>,
    ) -> wasmtime::Result<Result<Resource<HostIncomingBody>, ()>> {
        types::HostIncomingRequest::consume(&mut self.library, request)
    }

    fn drop(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<()> {
        types::HostIncomingRequest::drop(&mut self.library, request)
    }
}

impl types::HostOutgoingRequest for View<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<HostOutgoingRequest>> {
        self.handles.release(headers.rep());
        let request = types::HostOutgoingRequest::new(&mut self.library, headers)?;
        self.hold_request(request.rep())?;
        Ok(request)
    }

    fn body(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<HostOutgoingBody>, ()>> {
        let handle = request.rep();
        let body = types::HostOutgoingRequest::body(&mut self.library, request)?;
        self.hold_request(handle)?;
        if let Ok(body) = &body {
            self.hold(body.rep(), WRITTEN)?;
        }
        Ok(body)
    }

    fn method(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<types::Method> {
        types::HostOutgoingRequest::method(&mut self.library, request)
    }

    fn set_method(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        method: types::Method,
    ) -> wasmtime::Result<Result<(), ()>> {
        if matches!(&method, types::Method::Other(name) if name.len() > MAX_METHOD) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_method(request, method)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn path_with_query(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostOutgoingRequest::path_with_query(&mut self.library, request)
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        path: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if !self.is_of_url(path.as_ref()) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_path_with_query(request, path)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn scheme(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<types::Scheme>> {
        types::HostOutgoingRequest::scheme(&mut self.library, request)
    }

    fn set_scheme(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        scheme: Option<types::Scheme>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if matches!(&scheme, Some(types::Scheme::Other(name)) if name.len() > SCHEME) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_scheme(request, scheme)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn authority(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostOutgoingRequest::authority(&mut self.library, request)
    }

    fn set_authority(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        authority: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if !self.is_of_url(authority.as_ref()) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_authority(request, authority)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn headers(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostOutgoingRequest::headers(&mut self.library, request)?;
        self.hold_fields(fields)
    }

    fn drop(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<()> {
        self.handles.release(request.rep());
        types::HostOutgoingRequest::drop(&mut self.library, request)
    }
}

impl types::HostResponseOutparam for View<'_> {
    fn set(
        &mut self,
        param: Resource<HostResponseOutparam>,
        response: Result<Resource<HostOutgoingResponse>, types::ErrorCode>,
    ) -> wasmtime::Result<()> {
        types::HostResponseOutparam::set(&mut self.library, param, response)
    }

    fn send_informational(
        &mut self,
        param: Resource<HostResponseOutparam>,
        status: u16,
        headers: Resource<FieldMap>,
    ) -> HttpResult<()> {
        self.library.send_informational(param, status, headers)
    }

    fn drop(&mut self, param: Resource<HostResponseOutparam>) -> wasmtime::Result<()> {
        types::HostResponseOutparam::drop(&mut self.library, param)
    }
}

impl types::HostIncomingResponse for View<'_> {
    fn status(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<types::StatusCode> {
        self.library.status(response)
    }

    fn headers(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostIncomingResponse::headers(&mut self.library, response)?;
        self.hold_fields(fields)
    }

    fn consume(
        &mut self,
        response: Resource<HostIncomingResponse>,
    ) -> wasmtime::Result<Result<Resource<HostIncomingBody>, ()>> {
        types::HostIncomingResponse::consume(&mut self.library, response)
    }

    fn drop(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<()> {
        self.handles.release(response.rep());
        types::HostIncomingResponse::drop(&mut self.library, response)
    }
}

impl types::HostFutureTrailers for View<'_> {
    fn subscribe(&mut self, trailers: Resource<HostFutureTrailers>) -> wasmtime::Result<Resource<DynPollable>> {
        types::HostFutureTrailers::subscribe(&mut self.library, trailers)
    }

    fn get(
        &mut self,
        trailers: Resource<HostFutureTrailers>,
    ) -> wasmtime::Result<Option<Result<Result<Option<Resource<FieldMap>>, types::ErrorCode>, ()>>> {
        // There are none: a response is complete before the guest has it, and its trailers are not kept.
        types::HostFutureTrailers::get(&mut self.library, trailers)
    }

    fn drop(&mut self, trailers: Resource<HostFutureTrailers>) -> wasmtime::Result<()> {
        types::HostFutureTrailers::drop(&mut self.library, trailers)
    }
}

impl types::HostIncomingBody for View<'_> {
    fn stream(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        self.library.stream(body)
    }

    fn finish(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<Resource<HostFutureTrailers>> {
        types::HostIncomingBody::finish(&mut self.library, body)
    }

    fn drop(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<()> {
        types::HostIncomingBody::drop(&mut self.library, body)
    }
}

impl types::HostOutgoingResponse for View<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<HostOutgoingResponse>> {
        self.handles.release(headers.rep());
        let response = types::HostOutgoingResponse::new(&mut self.library, headers)?;
        let size = fields_size(&self.library.table.get(&response)?.headers);
        self.hold(response.rep(), size)?;
        Ok(response)
    }

    fn body(
        &mut self,
        response: Resource<HostOutgoingResponse>,
    ) -> wasmtime::Result<Result<Resource<HostOutgoingBody>, ()>> {
        let handle = response.rep();
        let body = types::HostOutgoingResponse::body(&mut self.library, response)?;
        let size = fields_size(&self.library.table.get(&borrowed::<HostOutgoingResponse>(handle))?.headers);
        self.hold(handle, size.saturating_add(WRITTEN))?;
        if let Ok(body) = &body {
            self.hold(body.rep(), WRITTEN)?;
        }
        Ok(body)
    }

    fn status_code(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<types::StatusCode> {
        self.library.status_code(response)
    }

    fn set_status_code(
        &mut self,
        response: Resource<HostOutgoingResponse>,
        status: types::StatusCode,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_status_code(response, status)
    }

    fn headers(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostOutgoingResponse::headers(&mut self.library, response)?;
        self.hold_fields(fields)
    }

    fn drop(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<()> {
        self.handles.release(response.rep());
        types::HostOutgoingResponse::drop(&mut self.library, response)
    }
}

impl types::HostFutureIncomingResponse for View<'_> {
    fn get(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<HostIncomingResponse>, types::ErrorCode>, ()>>> {
        if let Some(reached) = self.web.ended() {
            return Err(reached.clone().into());
        }
        let got = types::HostFutureIncomingResponse::get(&mut self.library, future)?;
        // The body carries its charge along; the header fields change hands here.
        if let Some(Ok(Ok(response))) = &got {
            let size = fields_size(&self.library.table.get(response)?.headers);
            self.hold(response.rep(), size)?;
        }
        Ok(got)
    }

    fn subscribe(&mut self, future: Resource<HostFutureIncomingResponse>) -> wasmtime::Result<Resource<DynPollable>> {
        types::HostFutureIncomingResponse::subscribe(&mut self.library, future)
    }

    fn drop(&mut self, future: Resource<HostFutureIncomingResponse>) -> wasmtime::Result<()> {
        types::HostFutureIncomingResponse::drop(&mut self.library, future)
    }
}

impl types::HostOutgoingBody for View<'_> {
    fn write(&mut self, body: Resource<HostOutgoingBody>) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        self.library.write(body)
    }

    fn finish(&mut self, body: Resource<HostOutgoingBody>, trailers: Option<Resource<FieldMap>>) -> HttpResult<()> {
        self.handles.release(body.rep());
        // The trailers go where the body goes: into what is charged for the request.
        if let Some(trailers) = &trailers {
            self.handles.release(trailers.rep());
        }
        types::HostOutgoingBody::finish(&mut self.library, body, trailers)
    }

    fn drop(&mut self, body: Resource<HostOutgoingBody>) -> wasmtime::Result<()> {
        self.handles.release(body.rep());
        types::HostOutgoingBody::drop(&mut self.library, body)
    }
}

impl types::HostRequestOptions for View<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<types::RequestOptions>> {
        types::HostRequestOptions::new(&mut self.library)
    }

    fn connect_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.connect_timeout(options)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_connect_timeout(options, duration)
    }

    fn first_byte_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.first_byte_timeout(options)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_first_byte_timeout(options, duration)
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.between_bytes_timeout(options)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_between_bytes_timeout(options, duration)
    }

    fn drop(&mut self, options: Resource<types::RequestOptions>) -> wasmtime::Result<()> {
        types::HostRequestOptions::drop(&mut self.library, options)
    }
}
