/* pattoo.h on top of pattoo_host.h: texts with a NUL in place of a length, and errors as results with a text. */
#include "pattoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pattoo_host.h"

/* ---- Memory ---------------------------------------------------------------------------------------------------------- */

typedef struct block {
  struct block *next;
  max_align_t bytes[];
} block;

static block *blocks;

void *pattoo_allocate(size_t size) {
  /* One more for the NUL that makes a text of what the host gives. */
  block *fresh = calloc(1, sizeof(block) + size + 1);
  if (fresh == NULL) abort();
  fresh->next = blocks;
  blocks = fresh;
  return fresh->bytes;
}

static const char *last_error = "";

void pattoo_release(void) {
  last_error = "";
  while (blocks != NULL) {
    block *next = blocks->next;
    free(blocks);
    blocks = next;
  }
}

#ifdef __wasm__
/* Where the host puts what it returns. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)align; /* never more than that of any type of C */
  void *fresh = pattoo_allocate(size);
  if (old_size > 0) memcpy(fresh, old, old_size < size ? old_size : size);
  return fresh;
}

typedef struct {
  uint8_t failed;
  host_string error;
} outcome;

__attribute__((export_name("collect"))) outcome *pattoo_export_collect(void) {
  static outcome end;
  if (pattoo_collect() != PATTOO_OK) end = (outcome){1, {pattoo_error(), strlen(pattoo_error())}};
  return &end;
}
#endif

static const char *format_all(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) return format;
  char *text = pattoo_allocate((size_t)length);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

const char *pattoo_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = format_all(format, arguments);
  va_end(arguments);
  return text;
}

/* ---- Errors ---------------------------------------------------------------------------------------------------------- */

const char *pattoo_error(void) { return last_error; }

pattoo_result pattoo_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  last_error = format_all(format, arguments);
  va_end(arguments);
  return PATTOO_FAILED;
}

pattoo_result pattoo_fail_as(pattoo_result result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  last_error = format_all(format, arguments);
  va_end(arguments);
  return result;
}

/* ---- Texts ----------------------------------------------------------------------------------------------------------- */

static host_string from_text(const char *text) {
  if (text == NULL) text = "";
  return (host_string){text, strlen(text)};
}

/* The host's text, which ends with a NUL since pattoo_allocate() leaves one there; an empty one may lie nowhere. */
static const char *to_text(host_string text) { return text.length > 0 ? text.bytes : ""; }

/* ---- Who this collector is ------------------------------------------------------------------------------------------- */

const char *pattoo_program(void) {
  host_string result;
  host_program(&result);
  return to_text(result);
}

const char *pattoo_settings(void) {
  host_string result;
  host_settings(&result);
  return to_text(result);
}

uint32_t pattoo_polling_interval(void) { return (uint32_t)host_polling_interval(); }
uint64_t pattoo_collection_time(void) { return (uint64_t)host_collection_time(); }
uint64_t pattoo_now(void) { return (uint64_t)host_now(); }
uint64_t pattoo_monotonic(void) { return (uint64_t)host_monotonic(); }

void pattoo_log(pattoo_level level, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *message = format_all(format, arguments);
  va_end(arguments);
  host_log((int32_t)level, message, strlen(message));
}

/* ---- Measurements ---------------------------------------------------------------------------------------------------- */

static host_datapoint to_host(const pattoo_datapoint *point) {
  host_datapoint given = {.key = from_text(point->key)};
  given.value.tag = (uint8_t)point->value.type;
  switch (point->value.type) {
  case PATTOO_INTEGER: given.value.as.integer = point->value.as.integer; break;
  case PATTOO_SCALED:
  case PATTOO_FLOAT: given.value.as.number = point->value.as.number; break;
  case PATTOO_COUNTER32: given.value.as.counter32 = point->value.as.counter32; break;
  case PATTOO_COUNTER64: given.value.as.counter64 = point->value.as.counter64; break;
  case PATTOO_TEXT: given.value.as.text = from_text(point->value.as.text); break;
  }
  given.timestamp.some = point->timestamp != 0;
  given.timestamp.milliseconds = point->timestamp;
  host_metadatum *metadata = pattoo_allocate(point->metadata_count * sizeof *metadata);
  for (size_t i = 0; i < point->metadata_count; i++) {
    const pattoo_metadatum *one = &point->metadata[i];
    metadata[i] = (host_metadatum){from_text(one->key), from_text(one->value), one->identifying};
  }
  given.metadata.items = metadata;
  given.metadata.count = point->metadata_count;
  return given;
}

static const char *reason(host_reason reason) {
  enum { DUPLICATE = 4 };
  if (reason.tag == DUPLICATE) return "another one with the same key, type and identifying metadata was emitted before";
  return to_text(reason.text);
}

pattoo_result pattoo_emit(const char *target, const pattoo_datapoint *points, size_t count, pattoo_rejections *rejections) {
  host_datapoint *given = pattoo_allocate(count * sizeof *given);
  for (size_t i = 0; i < count; i++) given[i] = to_host(&points[i]);
  host_string name = from_text(target);
  host_emitted result;
  host_emit(name.bytes, name.length, given, count, &result);
  if (rejections != NULL) *rejections = (pattoo_rejections){NULL, 0};
  if (result.failed) {
    static const pattoo_result kinds[] = {PATTOO_INVALID, PATTOO_QUOTA};
    uint8_t tag = result.as.error.tag;
    return pattoo_fail_as(tag < 2 ? kinds[tag] : PATTOO_OTHER, "target %s: %s", name.bytes, to_text(result.as.error.text));
  }
  size_t refused = result.as.rejections.count;
  if (rejections == NULL) {
    if (refused == 0) return PATTOO_OK;
    const host_rejection *first = &result.as.rejections.items[0];
    return pattoo_fail_as(PATTOO_REJECTED, "target %s: datapoint %s was refused: %s", name.bytes,
                          first->index < count ? points[first->index].key : "", reason(first->reason));
  }
  pattoo_rejection *told = pattoo_allocate(refused * sizeof *told);
  for (size_t i = 0; i < refused; i++) {
    const host_rejection *one = &result.as.rejections.items[i];
    told[i] = (pattoo_rejection){one->index, reason(one->reason)};
  }
  *rejections = (pattoo_rejections){told, refused};
  return PATTOO_OK;
}

/* ---- Modbus ---------------------------------------------------------------------------------------------------------- */

const char *pattoo_exception_name(uint8_t exception) {
  switch (exception) {
  case 1: return "illegal function";
  case 2: return "illegal data address";
  case 3: return "illegal data value";
  case 4: return "server device failure";
  case 5: return "acknowledge";
  case 6: return "server device busy";
  case 8: return "memory parity error";
  case 10: return "gateway path unavailable";
  case 11: return "gateway target device failed to respond";
  default: return "unknown";
  }
}

/* Fills in what a span failed with. */
static void fail_span(pattoo_span *span, const host_modbus_error *error) {
  static const pattoo_result kinds[] = {PATTOO_DENIED,     PATTOO_UNKNOWN_DEVICE, PATTOO_EXCEPTION, PATTOO_TIMEOUT,
                                        PATTOO_CONNECTION, PATTOO_INVALID,        PATTOO_QUOTA};
  static const char *const tables[] = {"coils", "discrete inputs", "holding registers", "input registers"};
  span->result = error->tag < sizeof kinds / sizeof *kinds ? kinds[error->tag] : PATTOO_OTHER;
  const char *why;
  switch (span->result) {
  case PATTOO_UNKNOWN_DEVICE: why = "no device of that name is granted"; break;
  case PATTOO_TIMEOUT: why = "the device did not answer in time"; break;
  case PATTOO_EXCEPTION:
    span->exception = error->as.exception;
    why = pattoo_format("the device answered exception %u (%s)", span->exception, pattoo_exception_name(span->exception));
    break;
  case PATTOO_DENIED: why = pattoo_format("denied: %s", to_text(error->as.text)); break;
  default: why = to_text(error->as.text);
  }
  const char *unit = span->unit >= 0 ? pattoo_format(", unit %d", span->unit) : "";
  span->error = pattoo_format("%s%s, %u %s from address %u: %s", span->device, unit, span->count,
                              tables[(unsigned)span->table & 3], span->address, why);
}

static host_span span_to_host(const pattoo_span *span) {
  return (host_span){from_text(span->device), {span->unit >= 0, (uint8_t)span->unit}, (uint8_t)span->table, span->address,
                     span->count};
}

/* The host knows units of 8 bits: of any other it shall not read the remainder. */
static bool unit_exists(int unit) { return unit >= PATTOO_DEFAULT_UNIT && unit <= UINT8_MAX; }

static void refuse_unit(pattoo_span *span) {
  span->result = PATTOO_INVALID;
  span->error = pattoo_format("%s: there is no unit %d", span->device, span->unit);
}

void pattoo_read_many(pattoo_span *spans, size_t count) {
  host_span *asked = pattoo_allocate(count * sizeof *asked);
  pattoo_span **of = pattoo_allocate(count * sizeof *of);
  size_t sent = 0;
  for (size_t i = 0; i < count; i++) {
    pattoo_span *span = &spans[i];
    span->result = PATTOO_OK;
    span->error = NULL;
    span->exception = 0;
    span->bits = NULL;
    span->registers = NULL;
    if (!unit_exists(span->unit)) {
      refuse_unit(span);
      continue;
    }
    of[sent] = span;
    asked[sent++] = span_to_host(span);
  }
  host_reads results;
  host_read_many(asked, sent, &results);
  for (size_t i = 0; i < sent && i < results.count; i++) {
    const host_read *read = &results.items[i];
    if (read->failed) {
      fail_span(of[i], &read->as.error);
    } else if (read->as.words.tag == HOST_BITS) {
      of[i]->bits = (const bool *)read->as.words.as.bits.items;
    } else {
      of[i]->registers = read->as.words.as.registers.items;
    }
  }
}

typedef void host_read_bits_function(const char *, size_t, int32_t, int32_t, int32_t, int32_t, host_read_bits *);
typedef void host_read_registers_function(const char *, size_t, int32_t, int32_t, int32_t, int32_t, host_read_registers *);

static pattoo_result failed(pattoo_span *span, const host_modbus_error *error) {
  if (error == NULL) {
    refuse_unit(span);
  } else {
    fail_span(span, error);
  }
  last_error = span->error;
  return span->result;
}

static pattoo_result read_bits(host_read_bits_function *read, pattoo_span span, bool bits[]) {
  if (!unit_exists(span.unit)) return failed(&span, NULL);
  host_span asked = span_to_host(&span);
  host_read_bits result;
  read(asked.device.bytes, asked.device.length, asked.unit.some, asked.unit.number, span.address, span.count, &result);
  if (result.failed) return failed(&span, &result.as.error);
  for (size_t i = 0; i < span.count && i < result.as.bits.count; i++) bits[i] = result.as.bits.items[i];
  return PATTOO_OK;
}

static pattoo_result read_registers(host_read_registers_function *read, pattoo_span span, uint16_t registers[]) {
  if (!unit_exists(span.unit)) return failed(&span, NULL);
  host_span asked = span_to_host(&span);
  host_read_registers result;
  read(asked.device.bytes, asked.device.length, asked.unit.some, asked.unit.number, span.address, span.count, &result);
  if (result.failed) return failed(&span, &result.as.error);
  for (size_t i = 0; i < span.count && i < result.as.registers.count; i++) registers[i] = result.as.registers.items[i];
  return PATTOO_OK;
}

static pattoo_span span_of(const char *device, int unit, pattoo_table table, uint16_t address, uint16_t count) {
  return (pattoo_span){.device = device, .unit = unit, .table = table, .address = address, .count = count};
}

pattoo_result pattoo_read_coils(const char *device, int unit, uint16_t address, uint16_t count, bool bits[]) {
  return read_bits(host_read_coils, span_of(device, unit, PATTOO_COILS, address, count), bits);
}

pattoo_result pattoo_read_discrete_inputs(const char *device, int unit, uint16_t address, uint16_t count, bool bits[]) {
  return read_bits(host_read_discrete_inputs, span_of(device, unit, PATTOO_DISCRETE_INPUTS, address, count), bits);
}

pattoo_result pattoo_read_holding_registers(const char *device, int unit, uint16_t address, uint16_t count,
                                            uint16_t registers[]) {
  return read_registers(host_read_holding_registers, span_of(device, unit, PATTOO_HOLDING_REGISTERS, address, count),
                        registers);
}

pattoo_result pattoo_read_input_registers(const char *device, int unit, uint16_t address, uint16_t count,
                                          uint16_t registers[]) {
  return read_registers(host_read_input_registers, span_of(device, unit, PATTOO_INPUT_REGISTERS, address, count),
                        registers);
}

const pattoo_device *pattoo_devices(size_t *count) {
  host_devices_list granted;
  host_devices(&granted);
  pattoo_device *devices = pattoo_allocate(granted.count * sizeof *devices);
  for (size_t i = 0; i < granted.count; i++) {
    const host_device *device = &granted.items[i];
    devices[i] = (pattoo_device){to_text(device->name), device->units.items, device->units.count};
  }
  *count = granted.count;
  return devices;
}

/* ---- HTTP ------------------------------------------------------------------------------------------------------------ */

static const char *method_of(const pattoo_request *request) { return request->method != NULL ? request->method : "GET"; }

static host_request request_to_host(const pattoo_request *request) {
  host_header *headers = pattoo_allocate(request->header_count * sizeof *headers);
  for (size_t i = 0; i < request->header_count; i++) {
    headers[i] = (host_header){from_text(request->headers[i].name), from_text(request->headers[i].value)};
  }
  return (host_request){from_text(method_of(request)),
                        from_text(request->url),
                        {headers, request->header_count},
                        {request->body != NULL, {request->body, request->body_size}},
                        {request->timeout_ms != 0, request->timeout_ms}};
}

static pattoo_response response_from_host(const pattoo_request *request, const host_fetched *fetched) {
  static const pattoo_result kinds[] = {PATTOO_DENIED, PATTOO_INVALID,   PATTOO_TIMEOUT,   PATTOO_CONNECTION,
                                        PATTOO_TLS,    PATTOO_TOO_LARGE, PATTOO_REDIRECTS, PATTOO_QUOTA};
  if (!fetched->failed) {
    host_headers given = fetched->as.response.headers;
    pattoo_header *headers = pattoo_allocate(given.count * sizeof *headers);
    for (size_t i = 0; i < given.count; i++) {
      headers[i] = (pattoo_header){to_text(given.items[i].name), to_text(given.items[i].value)};
    }
    host_bytes body = fetched->as.response.body;
    return (pattoo_response){PATTOO_OK, NULL,       fetched->as.response.status,
                             headers,   given.count, body.count > 0 ? (const char *)body.items : "", body.count};
  }
  uint8_t tag = fetched->as.error.tag;
  pattoo_result result = tag < sizeof kinds / sizeof *kinds ? kinds[tag] : PATTOO_OTHER;
  const char *why;
  switch (result) {
  case PATTOO_TIMEOUT: why = "the request timed out"; break;
  case PATTOO_TOO_LARGE:
    why = pattoo_format("the response is larger than %llu bytes", (unsigned long long)fetched->as.error.as.limit);
    break;
  case PATTOO_REDIRECTS:
    why = pattoo_format("there were more than %u redirects", (unsigned)fetched->as.error.as.redirects);
    break;
  case PATTOO_DENIED: why = pattoo_format("denied: %s", to_text(fetched->as.error.as.text)); break;
  default: why = to_text(fetched->as.error.as.text);
  }
  const char *error = pattoo_format("%s %s: %s", method_of(request), request->url, why);
  return (pattoo_response){.result = result, .error = error, .body = ""};
}

pattoo_result pattoo_fetch(const pattoo_request *request, pattoo_response *response) {
  host_request given = request_to_host(request);
  host_fetched fetched;
  host_fetch(given.method.bytes, given.method.length, given.url.bytes, given.url.length, given.headers.items,
             given.headers.count, given.body.some, given.body.bytes.items, given.body.bytes.count, given.timeout.some,
             (int32_t)given.timeout.milliseconds, &fetched);
  *response = response_from_host(request, &fetched);
  if (response->result != PATTOO_OK) last_error = response->error;
  return response->result;
}

void pattoo_fetch_all(const pattoo_request *requests, size_t count, pattoo_response *responses) {
  host_request *given = pattoo_allocate(count * sizeof *given);
  for (size_t i = 0; i < count; i++) given[i] = request_to_host(&requests[i]);
  host_fetches fetches;
  host_fetch_all(given, count, &fetches);
  for (size_t i = 0; i < count && i < fetches.count; i++) {
    responses[i] = response_from_host(&requests[i], &fetches.items[i]);
  }
}

const char *pattoo_response_header(const pattoo_response *response, const char *name) {
  for (size_t i = 0; i < response->header_count; i++) {
    if (strcasecmp(response->headers[i].name, name) == 0) return response->headers[i].value;
  }
  return NULL;
}

/* ---- State ----------------------------------------------------------------------------------------------------------- */

const char *pattoo_state_get(const char *key, size_t *size) {
  host_string name = from_text(key);
  host_value value;
  host_state_get(name.bytes, name.length, &value);
  if (!value.some) return NULL;
  if (size != NULL) *size = value.bytes.count;
  return value.bytes.count > 0 ? (const char *)value.bytes.items : "";
}

pattoo_result pattoo_state_set(const char *key, const void *value, size_t size) {
  static const pattoo_result kinds[] = {PATTOO_QUOTA, PATTOO_INVALID};
  host_string name = from_text(key);
  host_set result;
  host_state_set(name.bytes, name.length, value, size, &result);
  if (!result.failed) return PATTOO_OK;
  uint8_t tag = result.error.tag;
  return pattoo_fail_as(tag < 2 ? kinds[tag] : PATTOO_OTHER, "state %s was not set: %s", name.bytes,
                        to_text(result.error.text));
}

void pattoo_state_remove(const char *key) {
  host_string name = from_text(key);
  host_state_remove(name.bytes, name.length);
}

const char *const *pattoo_state_keys(size_t *count) {
  host_strings found;
  host_state_keys(&found);
  const char **keys = pattoo_allocate(found.count * sizeof *keys);
  for (size_t i = 0; i < found.count; i++) keys[i] = to_text(found.items[i]);
  *count = found.count;
  return keys;
}
