#include "pattoo_decode.h"

#include <math.h>
#include <string.h>

#include "pattoo_host.h"

static bool low_word_first(pattoo_order order) { return order == PATTOO_CDAB || order == PATTOO_DCBA; }

static bool bytes_swapped(pattoo_order order) { return order == PATTOO_BADC || order == PATTOO_DCBA; }

static uint16_t in_order(uint16_t word, pattoo_order order) {
  return bytes_swapped(order) ? (uint16_t)(word << 8 | word >> 8) : word;
}

static pattoo_result check(pattoo_registers registers, size_t place, size_t count) {
  if (place <= registers.count && count <= registers.count - place) return PATTOO_OK;
  return pattoo_fail_as(PATTOO_OUT_OF_RANGE, "a value of %zu registers at place %zu does not fit into the %zu that were read",
                        count, place, registers.count);
}

/* `count` registers as one number, the most significant first. */
static pattoo_result join(pattoo_registers registers, size_t place, size_t count, uint64_t *value) {
  pattoo_result result = check(registers, place, count);
  if (result != PATTOO_OK) return result;
  uint64_t joined = 0;
  for (size_t i = 0; i < count; i++) {
    size_t nth = low_word_first(registers.order) ? count - 1 - i : i;
    joined = joined << 16 | in_order(registers.items[place + nth], registers.order);
  }
  *value = joined;
  return PATTOO_OK;
}

#define DECODE_INTEGER(name, type, unsigned_type, count) \
  pattoo_result pattoo_decode_##name(pattoo_registers registers, size_t place, type *value) { \
    uint64_t joined; \
    pattoo_result result = join(registers, place, count, &joined); \
    if (result == PATTOO_OK) *value = (type)(unsigned_type)joined; \
    return result; \
  }

DECODE_INTEGER(u16, uint16_t, uint16_t, 1)
DECODE_INTEGER(i16, int16_t, uint16_t, 1)
DECODE_INTEGER(u32, uint32_t, uint32_t, 2)
DECODE_INTEGER(i32, int32_t, uint32_t, 2)
DECODE_INTEGER(u64, uint64_t, uint64_t, 4)
DECODE_INTEGER(i64, int64_t, uint64_t, 4)

pattoo_result pattoo_decode_f32(pattoo_registers registers, size_t place, float *value) {
  uint32_t bits;
  pattoo_result result = pattoo_decode_u32(registers, place, &bits);
  if (result == PATTOO_OK) memcpy(value, &bits, sizeof *value);
  return result;
}

pattoo_result pattoo_decode_f64(pattoo_registers registers, size_t place, double *value) {
  uint64_t bits;
  pattoo_result result = pattoo_decode_u64(registers, place, &bits);
  if (result == PATTOO_OK) memcpy(value, &bits, sizeof *value);
  return result;
}

/* Sign, five bits of exponent with a bias of 15, ten bits of fraction. */
pattoo_result pattoo_decode_f16(pattoo_registers registers, size_t place, float *value) {
  uint16_t bits;
  pattoo_result result = pattoo_decode_u16(registers, place, &bits);
  if (result != PATTOO_OK) return result;
  int exponent = bits >> 10 & 0x1F;
  int fraction = bits & 0x3FF;
  float magnitude;
  if (exponent == 0) {
    magnitude = ldexpf((float)fraction, -24);
  } else if (exponent < 0x1F) {
    magnitude = ldexpf((float)(fraction + 0x400), exponent - 25);
  } else {
    magnitude = fraction == 0 ? INFINITY : NAN;
  }
  *value = bits >> 15 ? -magnitude : magnitude;
  return PATTOO_OK;
}

static pattoo_result bcd(pattoo_registers registers, size_t place, size_t count, uint64_t *value) {
  uint64_t joined;
  pattoo_result result = join(registers, place, count, &joined);
  if (result != PATTOO_OK) return result;
  uint64_t number = 0;
  for (size_t nth = 0; nth < count * 4; nth++) {
    unsigned digit = joined >> (count * 4 - 1 - nth) * 4 & 0xF;
    if (digit > 9) {
      return pattoo_fail_as(PATTOO_NOT_BCD, "the value at place %zu is not in BCD: digit %zu of it is 0x%X", place, nth, digit);
    }
    number = number * 10 + digit;
  }
  *value = number;
  return PATTOO_OK;
}

#define DECODE_BCD(name, type, count) \
  pattoo_result pattoo_decode_##name(pattoo_registers registers, size_t place, type *value) { \
    uint64_t number; \
    pattoo_result result = bcd(registers, place, count, &number); \
    if (result == PATTOO_OK) *value = (type)number; \
    return result; \
  }

DECODE_BCD(bcd16, uint16_t, 1)
DECODE_BCD(bcd32, uint32_t, 2)
DECODE_BCD(bcd64, uint64_t, 4)

pattoo_result pattoo_decode_bits(pattoo_registers registers, size_t place, bool bits[16]) {
  uint16_t word;
  pattoo_result result = pattoo_decode_u16(registers, place, &word);
  if (result != PATTOO_OK) return result;
  for (unsigned bit = 0; bit < 16; bit++) bits[bit] = word >> bit & 1;
  return PATTOO_OK;
}

pattoo_result pattoo_decode_field(pattoo_registers registers, size_t place, unsigned first, unsigned last, uint16_t *value) {
  uint16_t word;
  pattoo_result result = pattoo_decode_u16(registers, place, &word);
  if (result != PATTOO_OK) return result;
  uint16_t field = 0;
  for (unsigned bit = first; bit <= last && bit < 16; bit++) field |= (uint16_t)((word >> bit & 1) << (bit - first));
  *value = field;
  return PATTOO_OK;
}

static bool is_space(char character) { return character == ' ' || (character >= '\t' && character <= '\r'); }

pattoo_result pattoo_decode_text(pattoo_registers registers, size_t place, size_t count, const char **text) {
  static const char replacement[] = "\xEF\xBF\xBD";
  pattoo_result result = check(registers, place, count);
  if (result != PATTOO_OK) return result;
  char *decoded = pattoo_allocate(count * 2 * (sizeof replacement - 1));
  char *end = decoded;
  for (size_t i = 0; i < count * 2; i++) {
    uint16_t word = in_order(registers.items[place + i / 2], registers.order);
    unsigned char byte = (unsigned char)(i % 2 == 0 ? word >> 8 : word);
    if (byte == 0) break;
    if (byte < 0x80) {
      *end++ = (char)byte;
    } else {
      end = (char *)memcpy(end, replacement, sizeof replacement - 1) + sizeof replacement - 1;
    }
  }
  while (end > decoded && is_space(end[-1])) end--;
  *end = '\0';
  while (is_space(*decoded)) decoded++;
  *text = decoded;
  return PATTOO_OK;
}
