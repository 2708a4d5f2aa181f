/* What registers mean: integers and floats of 16, 32 and 64 bits in every word and byte order, BCD, bits, and text.
 *
 * Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an order. Manuals
 * name it by what becomes of the four bytes ABCD, most significant first.
 */
#ifndef PATTOO_DECODE_H
#define PATTOO_DECODE_H

#include "pattoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For 64 bits the same stand for ABCDEFGH, GHEFCDAB, BADCFEHG and HGFEDCBA. */
typedef enum {
  PATTOO_ABCD, /* big-endian, the order of Modbus itself and the most common */
  PATTOO_CDAB, /* the least significant register first, known as word-swapped */
  PATTOO_BADC, /* the two bytes of each register swapped */
  PATTOO_DCBA  /* both, which is little-endian */
} pattoo_order;

/* Registers that were read, and the order of their device. */
typedef struct {
  const uint16_t *items;
  size_t count;
  pattoo_order order;
} pattoo_registers;

/* Each takes the place of the value's first register among those that were read, from 0: not the address in the device.
 * It fails with PATTOO_OUT_OF_RANGE if there are not enough, and leaves the value alone then. */
pattoo_result pattoo_decode_u16(pattoo_registers registers, size_t place, uint16_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_i16(pattoo_registers registers, size_t place, int16_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_u32(pattoo_registers registers, size_t place, uint32_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_i32(pattoo_registers registers, size_t place, int32_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_u64(pattoo_registers registers, size_t place, uint64_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_i64(pattoo_registers registers, size_t place, int64_t *value) PATTOO_CHECKED;

/* IEEE 754 of 16, 32 and 64 bits. They may be infinite or not a number, which pattoo refuses. */
pattoo_result pattoo_decode_f16(pattoo_registers registers, size_t place, float *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_f32(pattoo_registers registers, size_t place, float *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_f64(pattoo_registers registers, size_t place, double *value) PATTOO_CHECKED;

/* Packed BCD, four digits a register: 0x1234 is 1234. PATTOO_NOT_BCD if a digit is above 9. */
pattoo_result pattoo_decode_bcd16(pattoo_registers registers, size_t place, uint16_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_bcd32(pattoo_registers registers, size_t place, uint32_t *value) PATTOO_CHECKED;
pattoo_result pattoo_decode_bcd64(pattoo_registers registers, size_t place, uint64_t *value) PATTOO_CHECKED;

/* The 16 bits of a register, the least significant first: bits[3] is the one of value 8. */
pattoo_result pattoo_decode_bits(pattoo_registers registers, size_t place, bool bits[16]) PATTOO_CHECKED;

/* The number that the bits `first` to `last` of a register make, 0 being the least significant. */
pattoo_result pattoo_decode_field(pattoo_registers registers, size_t place, unsigned first, unsigned last,
                                  uint16_t *value) PATTOO_CHECKED;

/* `count` registers of two ASCII characters each, up to the first NUL and without white space around it. The first register
 * comes first in any order; a byte that is not ASCII becomes U+FFFD. */
pattoo_result pattoo_decode_text(pattoo_registers registers, size_t place, size_t count, const char **text) PATTOO_CHECKED;

#ifdef __cplusplus
}
#endif

#endif
