/* The devices, sites and state of pattoo_test.c, which includes this file at its end; no other file does. */

/* ---- Modbus ---------------------------------------------------------------------------------------------------------------------- */

static host_modbus_error modbus_error(pattoo_result result, const char *text) {
  static const pattoo_result kinds[] = {PATTOO_DENIED,     PATTOO_UNKNOWN_DEVICE, PATTOO_EXCEPTION, PATTOO_TIMEOUT,
                                        PATTOO_CONNECTION, PATTOO_INVALID,        PATTOO_QUOTA};
  host_modbus_error error = {0};
  while (error.tag < sizeof kinds / sizeof *kinds && kinds[error.tag] != result) error.tag++;
  error.as.text = returned(text);
  return error;
}

static host_modbus_error modbus_exception(uint8_t exception) {
  host_modbus_error error = modbus_error(PATTOO_EXCEPTION, "");
  error.as.exception = exception;
  return error;
}

/* Reads a span into `words`; says whether it failed. */
static bool read_words(const host_span *span, uint16_t *words, host_modbus_error *error) {
  const cell *first = NULL;
  bool granted = false;
  for (size_t i = 0; i < cells.count; i++) {
    const cell *one = &ITEMS(cells, cell)[i];
    if (!is(span->device, one->device)) continue;
    if (first == NULL) first = one;
    granted = granted || !span->unit.some || one->unit == span->unit.number;
  }
  if (first == NULL) return *error = modbus_error(PATTOO_UNKNOWN_DEVICE, ""), false;
  if (span->count == 0 || (uint32_t)span->address + span->count > 0x10000) {
    return *error = modbus_error(PATTOO_INVALID, "a read is of 1 or more, and ends at address 65535"), false;
  }
  if (!granted) return *error = modbus_error(PATTOO_DENIED, "the unit is not granted"), false;
  for (size_t i = 0; i < failures.count; i++) {
    const failure *one = &ITEMS(failures, failure)[i];
    if (is(span->device, one->name)) return *error = modbus_error(one->failure, "as the test said"), false;
  }
  uint8_t unit = span->unit.some ? span->unit.number : first->unit;
  for (uint16_t n = 0; n < span->count; n++) {
    const cell *found = NULL;
    for (size_t i = 0; i < cells.count; i++) {
      const cell *one = &ITEMS(cells, cell)[i];
      bool there = is(span->device, one->device) && one->unit == unit && (uint8_t)one->table == span->table;
      if (there && one->address == span->address + n) found = one;
    }
    if (found == NULL) return *error = modbus_exception(2), false;
    if (found->exception != 0) return *error = modbus_exception(found->exception), false;
    words[n] = found->word;
  }
  return true;
}

static bool of_bits(uint8_t table) { return table <= PATTOO_DISCRETE_INPUTS; }

static host_read read_span(const host_span *span) {
  host_read result = {0};
  uint16_t *words = pattoo_allocate(span->count * sizeof *words);
  if (!read_words(span, words, &result.as.error)) {
    result.failed = 1;
    return result;
  }
  if (of_bits(span->table)) {
    uint8_t *bits = pattoo_allocate(span->count);
    for (size_t i = 0; i < span->count; i++) bits[i] = words[i] != 0;
    result.as.words.tag = HOST_BITS;
    result.as.words.as.bits.items = bits;
    result.as.words.as.bits.count = span->count;
  } else {
    result.as.words.tag = HOST_REGISTERS;
    result.as.words.as.registers.items = words;
    result.as.words.as.registers.count = span->count;
  }
  return result;
}

void host_read_many(const host_span *spans, size_t count, host_reads *result) {
  host_read *reads = pattoo_allocate(count * sizeof *reads);
  for (size_t i = 0; i < count; i++) reads[i] = read_span(&spans[i]);
  result->items = reads;
  result->count = count;
}

#define HOST_READ(name, table, result_type, member) \
  void name(const char *device, size_t length, int32_t unit_given, int32_t unit, int32_t address, int32_t count, \
            result_type *result) { \
    host_span span = {{device, length}, {(uint8_t)unit_given, (uint8_t)unit}, table, (uint16_t)address, (uint16_t)count}; \
    host_read read = read_span(&span); \
    result->failed = read.failed; \
    if (read.failed) { \
      result->as.error = read.as.error; \
    } else { \
      result->as.member = read.as.words.as.member; \
    } \
  }

HOST_READ(host_read_coils, PATTOO_COILS, host_read_bits, bits)
HOST_READ(host_read_discrete_inputs, PATTOO_DISCRETE_INPUTS, host_read_bits, bits)
HOST_READ(host_read_holding_registers, PATTOO_HOLDING_REGISTERS, host_read_registers, registers)
HOST_READ(host_read_input_registers, PATTOO_INPUT_REGISTERS, host_read_registers, registers)

void host_devices(host_devices_list *result) {
  host_device *devices = pattoo_allocate(cells.count * sizeof *devices);
  size_t count = 0;
  for (size_t i = 0; i < cells.count; i++) {
    const cell *one = &ITEMS(cells, cell)[i];
    size_t place = 0;
    while (place < count && !is(devices[place].name, one->device)) place++;
    if (place == count) {
      devices[count].name = returned(one->device);
      devices[count++].units.items = pattoo_allocate(256);
    }
    host_bytes *units = &devices[place].units;
    if (memchr(units->items, one->unit, units->count) == NULL) ((uint8_t *)units->items)[units->count++] = one->unit;
  }
  result->items = devices;
  result->count = count;
}

/* ---- HTTP ------------------------------------------------------------------------------------------------------------------------ */

static host_fetched fetch_failure(pattoo_result result, const char *text) {
  static const pattoo_result kinds[] = {PATTOO_DENIED, PATTOO_INVALID,   PATTOO_TIMEOUT,   PATTOO_CONNECTION,
                                        PATTOO_TLS,    PATTOO_TOO_LARGE, PATTOO_REDIRECTS, PATTOO_QUOTA};
  host_fetched fetched = {.failed = 1};
  uint8_t tag = 0;
  while (tag < sizeof kinds / sizeof *kinds && kinds[tag] != result) tag++;
  fetched.as.error.tag = tag;
  if (result != PATTOO_TOO_LARGE && result != PATTOO_REDIRECTS) fetched.as.error.as.text = returned(text);
  return fetched;
}

/* How much of a URL is its origin: up to the third slash. */
static size_t origin_length(const char *url) {
  const char *host = strstr(url, "://");
  return host != NULL ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : strlen(url);
}

static host_fetched fetch_one(const host_request *request) {
  const char *said = pattoo_format("%.*s %.*s", (int)request->method.length, request->method.bytes, (int)request->url.length,
                                   request->url.bytes);
  for (size_t i = 0; i < request->headers.count; i++) {
    const host_header *header = &request->headers.items[i];
    said = pattoo_format("%s %.*s: %.*s", said, (int)header->name.length, header->name.bytes, (int)header->value.length,
                         header->value.bytes);
  }
  *ADD(requests, const char *) = said;

  const char *url = normal(request->url, false);
  const page *found = NULL;
  bool granted = false;
  for (size_t i = 0; i < pages.count; i++) {
    const page *one = &ITEMS(pages, page)[i];
    size_t length = origin_length(one->url);
    granted = granted || (length == origin_length(url) && strncmp(one->url, url, length) == 0);
    if (strcmp(one->url, url) == 0) found = one;
  }
  if (!granted) return fetch_failure(PATTOO_DENIED, pattoo_format("%.*s is not granted", (int)origin_length(url), url));
  if (found != NULL && found->failure != PATTOO_OK) return fetch_failure(found->failure, "as the test said");
  host_fetched fetched = {0};
  host_string body = returned(found != NULL ? found->body : "");
  fetched.as.response.status = found != NULL ? found->status : 404;
  fetched.as.response.body.items = (const uint8_t *)body.bytes;
  fetched.as.response.body.count = body.length;
  return fetched;
}

void host_fetch(const char *method, size_t method_length, const char *url, size_t url_length, const host_header *headers,
                size_t header_count, int32_t body_given, const uint8_t *body, size_t body_size, int32_t timeout_given,
                int32_t timeout, host_fetched *result) {
  host_request request = {{method, method_length},
                          {url, url_length},
                          {headers, header_count},
                          {(uint8_t)body_given, {body, body_size}},
                          {(uint8_t)timeout_given, (uint32_t)timeout}};
  *result = fetch_one(&request);
}

void host_fetch_all(const host_request *given, size_t count, host_fetches *result) {
  host_fetched *fetches = pattoo_allocate(count * sizeof *fetches);
  for (size_t i = 0; i < count; i++) fetches[i] = fetch_one(&given[i]);
  result->items = fetches;
  result->count = count;
}

/* ---- State: what the collection wrote lies over what was kept --------------------------------------------------------------------- */

void host_state_get(const char *key, size_t length, host_value *result) {
  const entry *found = entry_of(&written, (host_string){key, length});
  if (found == NULL) found = entry_of(&kept, (host_string){key, length});
  *result = (host_value){0};
  if (found == NULL || found->bytes == NULL) return;
  result->some = 1;
  result->bytes.items = memcpy(pattoo_allocate(found->size), found->bytes, found->size);
  result->bytes.count = found->size;
}

void host_state_set(const char *key, size_t length, const uint8_t *value, size_t size, host_set *result) {
  *result = (host_set){0};
  if (length == 0 || length > 255) {
    *result = (host_set){1, {1, returned("a key has 1 to 255 bytes")}};
    return;
  }
  set_entry(&written, (host_string){key, length}, value != NULL ? value : (const uint8_t *)"", size);
}

void host_state_remove(const char *key, size_t length) { set_entry(&written, (host_string){key, length}, NULL, 0); }

static int by_bytes(const void *one, const void *other) {
  return strcmp(((const host_string *)one)->bytes, ((const host_string *)other)->bytes);
}

void host_state_keys(host_strings *result) {
  host_string *keys = pattoo_allocate((kept.count + written.count) * sizeof *keys);
  size_t count = 0;
  const list *both[] = {&written, &kept};
  for (size_t n = 0; n < 2; n++) {
    for (size_t i = 0; i < both[n]->count; i++) {
      const entry *one = &ITEMS(*both[n], entry)[i];
      host_string key = {one->key, strlen(one->key)};
      bool hidden = n == 1 && entry_of(&written, key) != NULL;
      if (one->bytes != NULL && !hidden) keys[count++] = returned(one->key);
    }
  }
  qsort(keys, count, sizeof *keys, by_bytes);
  result->items = keys;
  result->count = count;
}
