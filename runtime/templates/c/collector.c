/* {{name}} counts its collections, and reads the temperature of a Modbus device if one is set. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattoo.h"
#include "pattoo_decode.h"
#include "pattoo_json.h"

/* Emits the number of this collection. Statics start with their initial values each time; the state is stored. */
static pattoo_result emit_count(void) {
  size_t size;
  const char *before = pattoo_state_get("collections", &size);
  char text[24] = "";
  if (before != NULL && size < sizeof text) memcpy(text, before, size);
  long long collections = atoll(text) + 1;
  int length = snprintf(text, sizeof text, "%lld", collections);
  if (pattoo_state_set("collections", text, (size_t)length)) return PATTOO_FAILED;
  pattoo_datapoint point = {.key = "collections", .value = pattoo_integer(collections)};
  return pattoo_emit("{{name}}", &point, 1, NULL);
}

pattoo_result pattoo_collect(void) {
  const cJSON *settings;
  if (pattoo_json_settings(&settings)) return PATTOO_FAILED;
  /* A misspelt setting must not pass in silence. */
  for (const cJSON *setting = settings->child; setting != NULL; setting = setting->next) {
    if (strcmp(setting->string, "device") != 0) return pattoo_fail("there is no setting %s", setting->string);
  }

  if (emit_count()) return PATTOO_FAILED;

  if (!pattoo_json_has(settings, "device")) {
    pattoo_log(PATTOO_INFO, "no device is set, so none is read: see README.md");
    return PATTOO_OK;
  }
  const char *device;
  if (pattoo_json_text(settings, "device", &device)) return PATTOO_FAILED;
  /* Registers 0 and 1 hold a float of 32 bits, as the manual of such a device says. */
  uint16_t words[2];
  float celsius;
  if (pattoo_read_holding_registers(device, PATTOO_DEFAULT_UNIT, 0, 2, words) ||
      pattoo_decode_f32((pattoo_registers){words, 2, PATTOO_ABCD}, 0, &celsius)) {
    return PATTOO_FAILED;
  }
  pattoo_metadatum metadata[] = {{"sensor", "indoor", true}, {"unit", "Cel", false}};
  pattoo_datapoint temperature = {
      .key = "temperature", .value = pattoo_float(celsius), .metadata = metadata, .metadata_count = 2};
  return pattoo_emit(device, &temperature, 1, NULL);
}
