/* A host for tests: what the runtime would be, under the control of the test, on the machine that builds it. No WebAssembly is
 * involved: the collector and these files are compiled as any C program.
 *
 *   pattoo_test_settings("{\"device\": \"plc1\"}");
 *   pattoo_test_registers("plc1", 1, PATTOO_HOLDING_REGISTERS, 0, 2, (uint16_t[]){17, 42});
 *   assert(pattoo_test_collect() == PATTOO_OK);
 *   assert(pattoo_test_find("plc1", "level")->value.as.integer == 42);
 *   pattoo_test_reset();
 *
 * Nothing is granted that the test did not set up. It follows the rules of the contract as far as a collector's logic can
 * depend on them: which datapoints are refused, what is denied, what a device answers, which state is kept. It knows none of
 * the limits on time and sizes, no redirects, and neither methods nor paths of a grant.
 */
#ifndef PATTOO_TEST_H
#define PATTOO_TEST_H

#include "pattoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets everything that was set up, collected and kept. Without any of it: program TEST, every 300 seconds, at 1700000000000
 * Unix milliseconds, no settings, nothing granted. */
void pattoo_test_reset(void);

/* ---- What there is --------------------------------------------------------------------------------------------------- */

void pattoo_test_settings(const char *json);

/* A device of that name and unit is granted, and has this. The unit named first is the default. Beyond what it has, a device
 * answers exception 2. */
void pattoo_test_registers(const char *device, uint8_t unit, pattoo_table table, uint16_t address, size_t count,
                           const uint16_t *registers);
void pattoo_test_bits(const char *device, uint8_t unit, pattoo_table table, uint16_t address, size_t count, const bool *bits);
/* It answers every read that touches the address with an exception. */
void pattoo_test_exception(const char *device, uint8_t unit, pattoo_table table, uint16_t address, uint8_t exception);
/* Every read of the device fails so, as with PATTOO_TIMEOUT. */
void pattoo_test_device_fails(const char *device, pattoo_result failure);

/* A page that is found under a URL. Its origin is granted: any other URL of it is answered with 404. */
void pattoo_test_page(const char *url, uint16_t status, const char *body);
/* Fetching the URL fails so. */
void pattoo_test_page_fails(const char *url, pattoo_result failure);

/* What an earlier collection left behind under a key. */
void pattoo_test_state(const char *key, const char *value);

/* ---- What comes of it ------------------------------------------------------------------------------------------------ */

/* Makes one collection; pattoo_error() has the text if it fails. A second one finds the state that the first left. */
pattoo_result pattoo_test_collect(void);

/* A datapoint of the last collection that was taken, its key in lower case. */
typedef struct {
  const char *target, *key;
  pattoo_value value;
  uint64_t timestamp;
  const pattoo_metadatum *metadata;
  size_t metadata_count;
} pattoo_test_point;

size_t pattoo_test_count(void);
/* The first one of a target with this key; NULL if there is none. */
const pattoo_test_point *pattoo_test_find(const char *target, const char *key);
/* All of them, by their places; NULL beyond the last. */
const pattoo_test_point *pattoo_test_point_at(size_t place);

/* The lines of the last collection's log: "warn: plc1 is silent"; NULL beyond the last. */
const char *pattoo_test_log(size_t place);

/* The requests of the last collection: "GET http://site-a.example/ accept: text/plain"; NULL beyond the last. */
const char *pattoo_test_request(size_t place);

/* What the next collection will find under a key; NULL if nothing. */
const char *pattoo_test_kept(const char *key);

#ifdef __cplusplus
}
#endif

#endif
