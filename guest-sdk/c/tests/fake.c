/* Runs everything.c against pattoo_test.c, and prints its log and its datapoints. */
#include <inttypes.h>
#include <stdio.h>

#include "pattoo_test.h"

static void print_value(pattoo_value value) {
  switch (value.type) {
  case PATTOO_INTEGER: printf("%" PRId64, value.as.integer); break;
  case PATTOO_SCALED:
  case PATTOO_FLOAT: printf("%.17g", value.as.number); break;
  case PATTOO_COUNTER32: printf("%" PRIu32, value.as.counter32); break;
  case PATTOO_COUNTER64: printf("%" PRIu64, value.as.counter64); break;
  case PATTOO_TEXT: printf("\"%s\"", value.as.text); break;
  }
}

int main(void) {
  pattoo_test_registers("plc1", 7, PATTOO_HOLDING_REGISTERS, 0, 2, (uint16_t[]){1, 65535});
  pattoo_test_registers("plc1", 7, PATTOO_INPUT_REGISTERS, 65534, 2, (uint16_t[]){258, 32768});
  pattoo_test_bits("plc1", 7, PATTOO_COILS, 16, 3, (bool[]){true, false, true});
  pattoo_test_bits("plc1", 9, PATTOO_DISCRETE_INPUTS, 0, 2, (bool[]){false, true});
  pattoo_test_settings("{\"site\": \"http://site-a.example\"}");
  pattoo_test_page("http://site-a.example/page.json", 200, "{\"a\": 1}");
  pattoo_result result = pattoo_test_collect();
  for (size_t i = 0; pattoo_test_log(i) != NULL; i++) puts(pattoo_test_log(i));
  printf("end: %d %s\n", result, pattoo_error());
  for (size_t i = 0; i < pattoo_test_count(); i++) {
    const pattoo_test_point *point = pattoo_test_point_at(i);
    printf("%s %s ", point->target, point->key);
    print_value(point->value);
    for (size_t n = 0; n < point->metadata_count; n++) {
      const pattoo_metadatum *one = &point->metadata[n];
      printf(" %s=%s%s", one->key, one->value, one->identifying ? "!" : "");
    }
    puts("");
  }
  pattoo_test_reset();
  return 0;
}
