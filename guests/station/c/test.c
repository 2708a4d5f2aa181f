/* The station against a host of the test's making: cc collector, SDK and this, and run it. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pattoo_test.h"

#define URL "http://site-a.example/weather.json"

static void set_up(const char *pump_address) {
  static const uint16_t pump[] = {1234, 0xFFF6, 0x0001, 0x0002};
  static const uint16_t meter[] = {0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0};
  char settings[512];
  pattoo_test_reset();
  snprintf(settings, sizeof settings,
           "{\"device\": \"plc1\", \"unit\": 7, \"site\": \"SITE_A\", \"url\": \"" URL "\","
           " \"pump\": {\"table\": \"holding-registers\", \"address\": %s},"
           " \"meter\": {\"table\": \"input-registers\", \"address\": 100}}",
           pump_address);
  pattoo_test_settings(settings);
  pattoo_test_registers("plc1", 7, PATTOO_HOLDING_REGISTERS, 10, 4, pump);
  pattoo_test_registers("plc1", 7, PATTOO_INPUT_REGISTERS, 100, 10, meter);
}

static pattoo_value value(const char *target, const char *key) {
  const pattoo_test_point *point = pattoo_test_find(target, key);
  if (point == NULL) fprintf(stderr, "there is no %s of %s\n", key, target);
  assert(point != NULL && point->timestamp == 1700000000000);
  return point->value;
}

static void a_whole_collection_is_eleven_datapoints(void) {
  set_up("10");
  pattoo_test_page(URL, 200, "{\"temperature\": -3.25, \"humidity\": 81, \"rain_total\": 5000, \"name\": \"Old Mill\"}");
  assert(pattoo_test_collect() == PATTOO_OK);
  assert(pattoo_test_count() == 11);
  assert(value("plc1", "level").as.integer == 1234);
  assert(value("plc1", "temperature").as.number == -1.0);
  assert(value("plc1", "revolutions").as.counter32 == 65538);
  assert(value("plc1", "power").as.number == 123.456f);
  assert(value("plc1", "energy").as.counter64 == 65536);
  assert(strcmp(value("plc1", "serial").as.text, "PMP-7") == 0);
  assert(value("SITE_A", "outdoor_temperature").as.number == -3.25);
  assert(strcmp(value("SITE_A", "station_name").as.text, "Old Mill") == 0);
  assert(strcmp(pattoo_test_request(0), "GET " URL " accept: application/json") == 0);
  assert(strcmp(pattoo_test_log(0), "info: 11 datapoints") == 0);
  assert(pattoo_test_collect() == PATTOO_OK);
  assert(value("collector", "collections").as.integer == 2);
}

static void a_part_that_fails_costs_only_itself(void) {
  set_up("11");
  pattoo_test_page_fails(URL, PATTOO_TIMEOUT);
  assert(pattoo_test_collect() == PATTOO_OK);
  assert(pattoo_test_count() == 5);
  assert(value("plc1", "exception").as.integer == 2);
  assert(strcmp(pattoo_test_log(0), "warn: pump: exception 2 (illegal data address)") == 0);
  assert(strcmp(pattoo_test_log(1), "warn: SITE_A: GET " URL ": the request timed out") == 0);
}

static void settings_that_do_not_fit_are_named(void) {
  set_up("\"ten\"");
  assert(pattoo_test_collect() == PATTOO_FAILED);
  assert(strcmp(pattoo_error(), "settings: pump: `address` is not a number") == 0);
}

int main(void) {
  a_whole_collection_is_eleven_datapoints();
  a_part_that_fails_costs_only_itself();
  settings_that_do_not_fit_are_named();
  pattoo_test_reset();
  puts("3 tests passed");
  return 0;
}
