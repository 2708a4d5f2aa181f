#include <assert.h>
#include <string.h>

#include "pattoo_test.h"

static void collections_are_counted_from_one_to_the_next(void) {
  pattoo_test_reset();
  for (int64_t wanted = 1; wanted <= 2; wanted++) {
    assert(pattoo_test_collect() == PATTOO_OK);
    assert(pattoo_test_find("{{name}}", "collections")->value.as.integer == wanted);
  }
}

static void the_temperature_of_the_device_is_emitted(void) {
  pattoo_test_reset();
  pattoo_test_settings("{\"device\": \"plc1\"}");
  pattoo_test_registers("plc1", 1, PATTOO_HOLDING_REGISTERS, 0, 2, (uint16_t[]){0x41AC, 0x0000});
  assert(pattoo_test_collect() == PATTOO_OK);
  assert(pattoo_test_find("plc1", "temperature")->value.as.number == 21.5);
}

static void a_device_that_is_silent_is_an_error_for_the_operator(void) {
  pattoo_test_reset();
  pattoo_test_settings("{\"device\": \"plc1\"}");
  pattoo_test_registers("plc1", 1, PATTOO_HOLDING_REGISTERS, 0, 2, (uint16_t[]){0, 0});
  pattoo_test_device_fails("plc1", PATTOO_TIMEOUT);
  assert(pattoo_test_collect() != PATTOO_OK);
  assert(strstr(pattoo_error(), "did not answer in time") != NULL);
}

int main(void) {
  collections_are_counted_from_one_to_the_next();
  the_temperature_of_the_device_is_emitted();
  a_device_that_is_silent_is_an_error_for_the_operator();
  return 0;
}
