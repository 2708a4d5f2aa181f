/* Calls every function of pattoo.h once and says what came of it, a line of the log each. It is run both by pattoo_test.c and, as
 * wasm, by the runtime, against the same things: both must say the same.
 *
 * There is a device plc1 with units 7 (the default) and 9, and a site whose URL is the setting `site`.
 */
#include <inttypes.h>
#include <string.h>

#include "pattoo.h"
#include "pattoo_json.h"

#define SAY(...) pattoo_log(PATTOO_INFO, __VA_ARGS__)

static void say_identity(void) {
  bool in_order = pattoo_now() >= pattoo_collection_time() && pattoo_monotonic() <= pattoo_monotonic();
  SAY("%s, every %" PRIu32 " seconds, clocks %s", pattoo_program(), pattoo_polling_interval(), in_order ? "go" : "are wrong");
}

static void say_devices(void) {
  size_t count;
  const pattoo_device *devices = pattoo_devices(&count);
  for (size_t i = 0; i < count; i++) {
    SAY("device %s: %zu units, first %u, last %u", devices[i].name, devices[i].unit_count, devices[i].units[0],
        devices[i].units[devices[i].unit_count - 1]);
  }
}

static void say_reads(void) {
  bool bits[3];
  uint16_t words[2];
  pattoo_result result = pattoo_read_coils("plc1", PATTOO_DEFAULT_UNIT, 16, 3, bits);
  SAY("coils: %d %d%d%d", result, bits[0], bits[1], bits[2]);
  result = pattoo_read_discrete_inputs("plc1", 9, 0, 2, bits);
  SAY("discrete inputs: %d %d%d", result, bits[0], bits[1]);
  result = pattoo_read_holding_registers("plc1", 7, 0, 2, words);
  SAY("holding registers: %d %u %u", result, words[0], words[1]);
  result = pattoo_read_input_registers("plc1", PATTOO_DEFAULT_UNIT, 65534, 2, words);
  SAY("input registers: %d %u %u", result, words[0], words[1]);
  result = pattoo_read_holding_registers("plc1", 7, 1, 2, words);
  SAY("beyond: %d %s", result, pattoo_error());
  result = pattoo_read_holding_registers("plc1", 256, 0, 1, words);
  SAY("unit 256: %d %s", result, pattoo_error());
}

static void say_spans(void) {
  pattoo_span spans[] = {
      {.device = "plc1", .unit = 7, .table = PATTOO_HOLDING_REGISTERS, .address = 0, .count = 2},
      {.device = "plc1", .unit = PATTOO_DEFAULT_UNIT, .table = PATTOO_COILS, .address = 17, .count = 2},
      {.device = "plc1", .unit = -2, .table = PATTOO_COILS, .address = 17, .count = 2},
      {.device = "plc1", .unit = 9, .table = PATTOO_INPUT_REGISTERS, .address = 3, .count = 1},
      {.device = "plc2", .unit = PATTOO_DEFAULT_UNIT, .table = PATTOO_INPUT_REGISTERS, .address = 3, .count = 1},
  };
  size_t count = sizeof spans / sizeof *spans;
  pattoo_read_many(spans, count);
  for (size_t i = 0; i < count; i++) {
    const pattoo_span *span = &spans[i];
    if (span->registers != NULL) SAY("span %zu: registers %u %u", i, span->registers[0], span->registers[1]);
    if (span->bits != NULL) SAY("span %zu: bits %d%d", i, span->bits[0], span->bits[1]);
    if (span->result != PATTOO_OK) SAY("span %zu: %d %u %s", i, span->result, span->exception, span->error);
  }
}

static void say_response(const char *what, const pattoo_response *response) {
  if (response->result == PATTOO_OK) {
    SAY("%s: %u, %zu bytes: %s", what, response->status, response->body_size, response->status == 200 ? response->body : "");
  } else {
    SAY("%s: %d", what, response->result);
  }
}

static void say_pages(const char *site) {
  pattoo_header header = {"accept", "application/json"};
  pattoo_request page = {.url = pattoo_format("%s/page.json", site), .headers = &header, .header_count = 1, .timeout_ms = 5000};
  pattoo_response response;
  if (pattoo_fetch(&page, &response) != PATTOO_OK) SAY("%s", pattoo_error());
  say_response("page", &response);
  SAY("a header that is not there: %s", pattoo_response_header(&response, "x-none") == NULL ? "none" : "some");

  pattoo_request requests[] = {page, {.url = "http://127.0.0.1:9/"}, {.method = "GET", .url = page.url}};
  pattoo_response responses[3];
  requests[2].headers = &header;
  requests[2].header_count = 1;
  pattoo_fetch_all(requests, 3, responses);
  for (size_t i = 0; i < 3; i++) say_response(pattoo_format("response %zu", i), &responses[i]);
}

static void say_state(void) {
  size_t count, size = 99;
  SAY("never set: %s", pattoo_state_get("never", &size) == NULL ? "none" : "some");
  pattoo_result set[] = {pattoo_state_set("b", "two\0bytes", 9), pattoo_state_set("a", "", 0), pattoo_state_set("c", "x", 1)};
  SAY("set: %d %d %d", set[0], set[1], set[2]);
  pattoo_state_remove("c");
  const char *bytes = pattoo_state_get("b", &size);
  SAY("got %zu bytes: %s and %s, then '%s'", size, bytes, bytes + 4, pattoo_state_get("a", NULL));
  const char *const *keys = pattoo_state_keys(&count);
  SAY("%zu keys: %s %s", count, keys[0], keys[1]);
  SAY("no key: %d", pattoo_state_set("", "x", 1));
}

static void say_emitted(void) {
  pattoo_metadatum metadata[] = {{"Unit", " 007 ", true}, {"note", "", false}};
  uint64_t now = pattoo_collection_time();
  pattoo_datapoint points[] = {
      {.key = "Integer", .value = pattoo_integer(INT64_MIN), .metadata = metadata, .metadata_count = 2, .timestamp = now},
      {.key = "scaled", .value = pattoo_scaled(-0.5)},
      {.key = "float", .value = pattoo_float(1e-300)},
      {.key = "counter32", .value = pattoo_counter32(UINT32_MAX)},
      {.key = "counter64", .value = pattoo_counter64(UINT64_MAX)},
      {.key = "text", .value = pattoo_text("M\xC3\xBChle")},
      {.key = "of pattoo", .value = pattoo_integer(1)},
      {.key = "huge", .value = pattoo_float(1e30)},
      {.key = "integer", .value = pattoo_integer(1), .metadata = metadata, .metadata_count = 1},
      {.key = "late", .value = pattoo_integer(1), .timestamp = 1},
      {.key = "described", .value = pattoo_integer(1), .metadata = (pattoo_metadatum[]){{"", "x", true}}, .metadata_count = 1},
  };
  pattoo_rejections rejections;
  pattoo_result result = pattoo_emit("plc1", points, sizeof points / sizeof *points, &rejections);
  SAY("emitted: %d, %zu refused", result, rejections.count);
  for (size_t i = 0; i < rejections.count; i++) SAY("refused: %s", points[rejections.items[i].index].key);
  result = pattoo_emit("plc1", &points[6], 1, NULL);
  SAY("alone: %d, %d", result, strstr(pattoo_error(), "target plc1: datapoint of pattoo was refused: ") != NULL);
  SAY("no target: %d", pattoo_emit("", &points[1], 1, NULL));
  SAY("nothing: %d", pattoo_emit("plc1", NULL, 0, NULL));
}

pattoo_result pattoo_collect(void) {
  const cJSON *settings;
  const char *site;
  if (pattoo_json_settings(&settings) || pattoo_json_text(settings, "site", &site)) return PATTOO_NOT_JSON;
  say_identity();
  say_devices();
  say_reads();
  say_spans();
  say_pages(site);
  say_state();
  say_emitted();
  return pattoo_fail("%s", "enough");
}
