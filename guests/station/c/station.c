/* A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
 *
 * ../README.md says what it does, in any language.
 */
#include <stdlib.h>
#include <string.h>

#include "pattoo.h"
#include "pattoo_decode.h"
#include "pattoo_json.h"

typedef struct {
  const char *device, *url, *site, *note;
  int unit;
  pattoo_span pump, meter;
} settings;

/* Where a span begins, as in {"table": "holding-registers", "address": 0}. */
static pattoo_result read_place(const cJSON *object, const char *key, pattoo_span *span) {
  const cJSON *place;
  const char *table;
  int64_t address;
  if (pattoo_json_object(object, key, &place) || pattoo_json_text(place, "table", &table) ||
      pattoo_json_integer(place, "address", 0, UINT16_MAX, &address)) {
    return pattoo_fail("settings: %s: %s", key, pattoo_error());
  }
  if (strcmp(table, "holding-registers") == 0) {
    span->table = PATTOO_HOLDING_REGISTERS;
  } else if (strcmp(table, "input-registers") == 0) {
    span->table = PATTOO_INPUT_REGISTERS;
  } else {
    return pattoo_fail("settings: %s: table is holding-registers or input-registers, not %s", key, table);
  }
  span->address = (uint16_t)address;
  return PATTOO_OK;
}

static pattoo_result read_settings(settings *settings) {
  const cJSON *object;
  int64_t unit;
  settings->note = "";
  if (pattoo_json_settings(&object) || pattoo_json_text(object, "device", &settings->device) ||
      pattoo_json_integer(object, "unit", 0, UINT8_MAX, &unit) || pattoo_json_text(object, "url", &settings->url) ||
      pattoo_json_text(object, "site", &settings->site) ||
      (pattoo_json_has(object, "note") && pattoo_json_text(object, "note", &settings->note))) {
    return pattoo_fail("settings: %s", pattoo_error());
  }
  settings->unit = (int)unit;
  settings->pump = (pattoo_span){.device = settings->device, .unit = settings->unit, .count = 4};
  settings->meter = (pattoo_span){.device = settings->device, .unit = settings->unit, .count = 10};
  if (read_place(object, "pump", &settings->pump)) return PATTOO_FAILED;
  return read_place(object, "meter", &settings->meter);
}

/* Emits datapoints of a target as of now, and adds to `taken` how many were. */
static pattoo_result emit(const char *target, pattoo_datapoint *points, size_t count, size_t *taken) {
  pattoo_rejections rejections;
  for (size_t i = 0; i < count; i++) points[i].timestamp = pattoo_collection_time();
  pattoo_result result = pattoo_emit(target, points, count, &rejections);
  if (result != PATTOO_OK) return result;
  for (size_t i = 0; i < rejections.count; i++) {
    pattoo_log(PATTOO_WARN, "%s: %s: %s", target, points[rejections.items[i].index].key, rejections.items[i].reason);
  }
  *taken += count - rejections.count;
  return PATTOO_OK;
}

/* What the pump's registers say, as three datapoints. */
static pattoo_result decode_pump(const pattoo_span *span, pattoo_datapoint points[3]) {
  pattoo_registers registers = {span->registers, span->count, PATTOO_ABCD};
  uint16_t level;
  int16_t temperature;
  uint32_t revolutions;
  pattoo_result result;
  if ((result = pattoo_decode_u16(registers, 0, &level)) || (result = pattoo_decode_i16(registers, 1, &temperature)) ||
      (result = pattoo_decode_u32(registers, 2, &revolutions))) {
    return result;
  }
  points[0] = (pattoo_datapoint){.key = "level", .value = pattoo_integer(level)};
  points[1] = (pattoo_datapoint){.key = "temperature", .value = pattoo_scaled(temperature * 0.1)};
  points[2] = (pattoo_datapoint){.key = "revolutions", .value = pattoo_counter32(revolutions)};
  return PATTOO_OK;
}

static pattoo_result decode_meter(const pattoo_span *span, pattoo_datapoint points[3]) {
  pattoo_registers registers = {span->registers, span->count, PATTOO_ABCD};
  pattoo_registers swapped = {span->registers, span->count, PATTOO_CDAB};
  float power;
  uint64_t energy;
  const char *serial;
  pattoo_result result;
  if ((result = pattoo_decode_f32(swapped, 0, &power)) || (result = pattoo_decode_u64(registers, 2, &energy)) ||
      (result = pattoo_decode_text(registers, 6, 4, &serial))) {
    return result;
  }
  points[0] = (pattoo_datapoint){.key = "power", .value = pattoo_float(power)};
  points[1] = (pattoo_datapoint){.key = "energy", .value = pattoo_counter64(energy)};
  points[2] = (pattoo_datapoint){.key = "serial", .value = pattoo_text(serial)};
  return PATTOO_OK;
}

/* Emits what a span gave: its values, or the exception in their place. */
static pattoo_result emit_span(const settings *settings, const char *name, const pattoo_span *span,
                               pattoo_result (*decode)(const pattoo_span *, pattoo_datapoint[3]), size_t *taken) {
  pattoo_datapoint points[3];
  size_t count = 3;
  if (span->result == PATTOO_OK) {
    pattoo_result result = decode(span, points);
    if (result != PATTOO_OK) return result;
  } else if (span->result == PATTOO_EXCEPTION) {
    pattoo_log(PATTOO_WARN, "%s: exception %u (%s)", name, span->exception, pattoo_exception_name(span->exception));
    points[0] = (pattoo_datapoint){.key = "exception", .value = pattoo_integer(span->exception)};
    count = 1;
  } else {
    pattoo_log(PATTOO_WARN, "%s: %s", name, span->error);
    return PATTOO_OK;
  }
  pattoo_metadatum metadata[] = {
      {"unit", pattoo_format("%d", settings->unit), true},
      {"span", name, true},
      {"note", settings->note, false},
  };
  for (size_t i = 0; i < count; i++) {
    points[i].metadata = metadata;
    points[i].metadata_count = sizeof metadata / sizeof *metadata;
  }
  return emit(settings->device, points, count, taken);
}

/* What the document says, as four datapoints. */
static pattoo_result read_weather(const pattoo_response *response, pattoo_datapoint points[4]) {
  const cJSON *document;
  double temperature;
  int64_t humidity, rain_total;
  const char *name;
  if (pattoo_json_parse(response->body, response->body_size, &document) ||
      pattoo_json_number(document, "temperature", &temperature) ||
      pattoo_json_integer(document, "humidity", INT64_MIN, INT64_MAX, &humidity) ||
      pattoo_json_integer(document, "rain_total", 0, INT64_MAX, &rain_total) ||
      pattoo_json_text(document, "name", &name)) {
    return PATTOO_NOT_JSON;
  }
  points[0] = (pattoo_datapoint){.key = "outdoor_temperature", .value = pattoo_float(temperature)};
  points[1] = (pattoo_datapoint){.key = "humidity", .value = pattoo_integer(humidity)};
  points[2] = (pattoo_datapoint){.key = "rain_total", .value = pattoo_counter64((uint64_t)rain_total)};
  points[3] = (pattoo_datapoint){.key = "station_name", .value = pattoo_text(name)};
  return PATTOO_OK;
}

static pattoo_result emit_site(const settings *settings, size_t *taken) {
  pattoo_header accept = {"accept", "application/json"};
  pattoo_request request = {.url = settings->url, .headers = &accept, .header_count = 1};
  pattoo_response response;
  pattoo_datapoint points[4];
  size_t count = 4;
  if (pattoo_fetch(&request, &response) != PATTOO_OK) {
    pattoo_log(PATTOO_WARN, "%s: %s", settings->site, response.error);
    return PATTOO_OK;
  }
  if (response.status != 200) {
    pattoo_log(PATTOO_WARN, "%s: status %u", settings->site, response.status);
    points[0] = (pattoo_datapoint){.key = "status", .value = pattoo_integer(response.status)};
    count = 1;
  } else if (read_weather(&response, points) != PATTOO_OK) {
    pattoo_log(PATTOO_WARN, "%s: %s", settings->site, pattoo_error());
    return PATTOO_OK;
  }
  pattoo_metadatum note = {"note", settings->note, false};
  for (size_t i = 0; i < count; i++) {
    points[i].metadata = &note;
    points[i].metadata_count = 1;
  }
  return emit(settings->site, points, count, taken);
}

/* The number of this collection. */
static pattoo_result count_collection(int64_t *number) {
  const char *before = pattoo_state_get("collections", NULL);
  char *end = "";
  *number = (before != NULL ? strtoll(before, &end, 10) : 0) + 1;
  if (*end != '\0') return pattoo_fail("what was kept of collections is no number: %s", before);
  const char *text = pattoo_format("%lld", (long long)*number);
  return pattoo_state_set("collections", text, strlen(text));
}

pattoo_result pattoo_collect(void) {
  settings settings;
  pattoo_result result = read_settings(&settings);
  if (result != PATTOO_OK) return result;

  enum { PUMP, METER, SPANS };
  pattoo_span spans[SPANS] = {settings.pump, settings.meter};
  pattoo_read_many(spans, SPANS);

  int64_t collections;
  size_t taken = 0;
  if ((result = count_collection(&collections)) ||
      (result = emit_span(&settings, "pump", &spans[PUMP], decode_pump, &taken)) ||
      (result = emit_span(&settings, "meter", &spans[METER], decode_meter, &taken)) ||
      (result = emit_site(&settings, &taken))) {
    return result;
  }
  pattoo_datapoint counted = {.key = "collections", .value = pattoo_integer(collections)};
  if ((result = emit("collector", &counted, 1, &taken))) return result;
  pattoo_log(PATTOO_INFO, "%zu datapoints", taken);
  return PATTOO_OK;
}
