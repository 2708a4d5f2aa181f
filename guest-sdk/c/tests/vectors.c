/* Every decoder against ../../vectors/decode.json, whose path is the argument. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattoo_decode.h"
#include "pattoo_json.h"

pattoo_result pattoo_collect(void) { return PATTOO_OK; }

static char text[256];

/* Floats by their bits, so that -0 is not 0; all that are not a number alike. */
static const char *spelled(double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  if (number != number) return "nan";
  snprintf(text, sizeof text, "%016" PRIx64, bits);
  return text;
}

static size_t size_of(const cJSON *vector, const char *key) {
  return (size_t)cJSON_GetObjectItemCaseSensitive(vector, key)->valuedouble;
}

#define DECODED(name, type, format) \
  if (strcmp(kind, #name) == 0) { \
    type value; \
    if ((result = pattoo_decode_##name(registers, place, &value)) == PATTOO_OK) { \
      if (scale != NULL) return spelled((double)value * scale->valuedouble + offset->valuedouble); \
      snprintf(text, sizeof text, "%" format, value); \
    } \
  }

#define DECODED_FLOAT(name, type) \
  if (strcmp(kind, #name) == 0) { \
    type value; \
    if ((result = pattoo_decode_##name(registers, place, &value)) == PATTOO_OK) return spelled(value); \
  }

/* What we make of a vector: the value as text, or the name of an error. */
static const char *decode(const cJSON *vector, pattoo_registers registers) {
  const char *kind = cJSON_GetObjectItemCaseSensitive(vector, "type")->valuestring;
  const cJSON *scale = cJSON_GetObjectItemCaseSensitive(vector, "scale");
  const cJSON *offset = cJSON_GetObjectItemCaseSensitive(vector, "offset");
  size_t place = size_of(vector, "place");
  pattoo_result result = PATTOO_OTHER;
  strcpy(text, "a type that no decoder has");
  DECODED(u16, uint16_t, PRIu16)
  DECODED(i16, int16_t, PRId16)
  DECODED(u32, uint32_t, PRIu32)
  DECODED(i32, int32_t, PRId32)
  DECODED(u64, uint64_t, PRIu64)
  DECODED(i64, int64_t, PRId64)
  DECODED(bcd16, uint16_t, PRIu16)
  DECODED(bcd32, uint32_t, PRIu32)
  DECODED(bcd64, uint64_t, PRIu64)
  DECODED_FLOAT(f16, float)
  DECODED_FLOAT(f32, float)
  DECODED_FLOAT(f64, double)
  if (strcmp(kind, "bits") == 0) {
    bool bits[16];
    result = pattoo_decode_bits(registers, place, bits);
    for (int i = 0; result == PATTOO_OK && i < 16; i++) text[i] = bits[15 - i] ? '1' : '0';
    text[16] = '\0';
  }
  if (strcmp(kind, "field") == 0) {
    uint16_t value;
    result = pattoo_decode_field(registers, place, (unsigned)size_of(vector, "first"), (unsigned)size_of(vector, "last"), &value);
    if (result == PATTOO_OK) snprintf(text, sizeof text, "%u", value);
  }
  if (strcmp(kind, "text") == 0) {
    const char *value;
    result = pattoo_decode_text(registers, place, size_of(vector, "count"), &value);
    if (result == PATTOO_OK) snprintf(text, sizeof text, "%s", value);
  }
  return result == PATTOO_OUT_OF_RANGE ? "range" : result == PATTOO_NOT_BCD ? "digit" : text;
}

static pattoo_order order_of(const char *name) {
  static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(name, orders[i]) == 0) return (pattoo_order)i;
  }
  abort();
}

int main(int count, char **arguments) {
  FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
  static char json[1 << 20];
  if (file == NULL) return perror("decode.json"), 2;
  size_t size = fread(json, 1, sizeof json - 1, file);
  fclose(file);
  const cJSON *vectors, *vector;
  if (pattoo_json_parse(json, size, &vectors) != PATTOO_OK) return puts(pattoo_error()), 2;
  int right = 0, wrong = 0;
  cJSON_ArrayForEach(vector, vectors) {
    uint16_t words[16];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(vector, "registers"), *word;
    pattoo_registers registers = {words, 0, order_of(cJSON_GetObjectItemCaseSensitive(vector, "order")->valuestring)};
    cJSON_ArrayForEach(word, list) words[registers.count++] = (uint16_t)word->valuedouble;
    const char *expected;
    if (pattoo_json_has(vector, "error")) {
      expected = cJSON_GetObjectItemCaseSensitive(vector, "error")->valuestring;
    } else {
      expected = cJSON_GetObjectItemCaseSensitive(vector, "expected")->valuestring;
      const char *kind = cJSON_GetObjectItemCaseSensitive(vector, "type")->valuestring;
      bool is_float = kind[0] == 'f' && strcmp(kind, "field") != 0;
      if (is_float || pattoo_json_has(vector, "scale")) expected = pattoo_format("%s", spelled(strtod(expected, NULL)));
    }
    const char *decoded = decode(vector, registers);
    if (strcmp(decoded, expected) == 0) {
      right++;
    } else {
      wrong++;
      printf("%s instead of %s: %s\n", decoded, expected, cJSON_PrintUnformatted(vector));
    }
  }
  printf("%d right, %d wrong\n", right, wrong);
  return wrong > 0 || right < 500;
}
