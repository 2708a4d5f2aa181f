/* Write collectors for pattoo-wasm in C.
 *
 * A collector is one function, pattoo_collect(), which measures something and emits what it found. It has nothing but what
 * is declared here: the devices and sites that its operator granted, a log, two clocks, and a little state.
 *
 * Texts are UTF-8 and end with NUL. Whatever a function returns stays valid until the end of the collection, and nothing has
 * to be freed: the collector's memory is dropped as a whole.
 *
 * A function that can fail returns a pattoo_result, and pattoo_error() has the reason in words.
 */
#ifndef PATTOO_H
#define PATTOO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PATTOO_CHECKED __attribute__((warn_unused_result))
#define PATTOO_FORMAT(text, arguments) __attribute__((format(printf, text, arguments)))

/* ---- How things end -------------------------------------------------------------------------------------------------- */

typedef enum {
  PATTOO_OK = 0,
  PATTOO_FAILED,         /* as pattoo_fail() said */
  PATTOO_DENIED,         /* not granted; the text names what would have to be */
  PATTOO_UNKNOWN_DEVICE, /* no device of that name is granted */
  PATTOO_EXCEPTION,      /* the device itself said no */
  PATTOO_TIMEOUT,        /* the request timed out */
  PATTOO_CONNECTION,     /* not reached, or broken, or not the protocol */
  PATTOO_TLS,            /* the connection is not secure */
  PATTOO_TOO_LARGE,      /* the response is larger than it may be */
  PATTOO_REDIRECTS,      /* there were too many */
  PATTOO_INVALID,        /* the request makes no sense */
  PATTOO_QUOTA,          /* the collection has had all that its operator allows */
  PATTOO_REJECTED,       /* a datapoint was refused */
  PATTOO_OUT_OF_RANGE,   /* a value lies beyond the registers that were read */
  PATTOO_NOT_BCD,        /* a digit is above 9 */
  PATTOO_NOT_JSON,       /* a text is not JSON, or has not what is wanted of it */
  PATTOO_OTHER           /* what a later version of the contract may have to say */
} pattoo_result;

/* The collector: you write it, and the host calls it once for each collection. What is not PATTOO_OK is a failed collection,
 * and pattoo_error() is what the operator reads. What was emitted before is kept. */
pattoo_result pattoo_collect(void);

/* Why the last function failed that did: "plc1, 2 holding registers from address 0: the device did not answer in time". */
const char *pattoo_error(void);

/* Sets that text and returns PATTOO_FAILED: return pattoo_fail("%s has no price", site); */
pattoo_result pattoo_fail(const char *format, ...) PATTOO_FORMAT(1, 2);

/* A formatted text, such as a unit's number for metadata. */
const char *pattoo_format(const char *format, ...) PATTOO_FORMAT(1, 2);

/* ---- Who this collector is ------------------------------------------------------------------------------------------- */

const char *pattoo_program(void);
uint32_t pattoo_polling_interval(void); /* seconds between the starts of two collections */
uint64_t pattoo_collection_time(void);  /* Unix milliseconds; does not change during a collection */
const char *pattoo_settings(void);      /* a JSON object; pattoo_json.h reads it */

uint64_t pattoo_now(void);       /* the host's wall clock in Unix milliseconds; it may jump */
uint64_t pattoo_monotonic(void); /* nanoseconds since this collection began */

/* ---- Words for the operator ------------------------------------------------------------------------------------------ */

typedef enum { PATTOO_TRACE, PATTOO_DEBUG, PATTOO_INFO, PATTOO_WARN, PATTOO_ERROR } pattoo_level;

void pattoo_log(pattoo_level level, const char *format, ...) PATTOO_FORMAT(2, 3);

/* ---- Measurements ---------------------------------------------------------------------------------------------------- */

typedef enum {
  PATTOO_INTEGER,
  PATTOO_SCALED, /* was whole before a multiplier was applied: register 235 x 0.1 = 23.5 */
  PATTOO_FLOAT,
  PATTOO_COUNTER32, /* only grows and wraps at 2^32; pattoo stores its rate of change */
  PATTOO_COUNTER64,
  PATTOO_TEXT
} pattoo_type;

typedef struct {
  pattoo_type type;
  union {
    int64_t integer;
    double number; /* of PATTOO_SCALED and PATTOO_FLOAT: finite, below 1e30 */
    uint32_t counter32;
    uint64_t counter64;
    const char *text;
  } as;
} pattoo_value;

static inline pattoo_value pattoo_integer(int64_t integer) {
  pattoo_value value = {PATTOO_INTEGER, {0}};
  value.as.integer = integer;
  return value;
}

static inline pattoo_value pattoo_scaled(double number) {
  pattoo_value value = {PATTOO_SCALED, {0}};
  value.as.number = number;
  return value;
}

static inline pattoo_value pattoo_float(double number) {
  pattoo_value value = {PATTOO_FLOAT, {0}};
  value.as.number = number;
  return value;
}

static inline pattoo_value pattoo_counter32(uint32_t count) {
  pattoo_value value = {PATTOO_COUNTER32, {0}};
  value.as.counter32 = count;
  return value;
}

static inline pattoo_value pattoo_counter64(uint64_t count) {
  pattoo_value value = {PATTOO_COUNTER64, {0}};
  value.as.counter64 = count;
  return value;
}

static inline pattoo_value pattoo_text(const char *text) {
  pattoo_value value = {PATTOO_TEXT, {0}};
  value.as.text = text;
  return value;
}

typedef struct {
  const char *key, *value;
  /* Whether another value is another series in pattoo. A unit or serial number is; a firmware version is not. */
  bool identifying;
} pattoo_metadatum;

typedef struct {
  const char *key;
  pattoo_value value;
  uint64_t timestamp;               /* Unix milliseconds; 0 stands for the moment in which it is emitted */
  const pattoo_metadatum *metadata; /* the same metadata in another order is another series */
  size_t metadata_count;
} pattoo_datapoint;

/* A datapoint that was refused. */
typedef struct {
  size_t index; /* its place among those that were emitted together */
  const char *reason;
} pattoo_rejection;

/* Emits datapoints of one target: the device, site or thing that was measured. One that is refused costs no other.
 *
 * Without `rejections` (NULL) a refused one makes this fail with PATTOO_REJECTED, though the others were taken. Otherwise they
 * are told there, and only what concerns all of them is a failure. The host logs each in any case. */
typedef struct {
  const pattoo_rejection *items;
  size_t count;
} pattoo_rejections;

pattoo_result pattoo_emit(const char *target, const pattoo_datapoint *points, size_t count,
                          pattoo_rejections *rejections) PATTOO_CHECKED;

/* ---- Modbus ---------------------------------------------------------------------------------------------------------- */

/* Addresses are those of the wire, from 0: the register that a manual calls 40001 is address 0 of the holding registers. */
typedef enum {
  PATTOO_COILS,
  PATTOO_DISCRETE_INPUTS,
  PATTOO_HOLDING_REGISTERS,
  PATTOO_INPUT_REGISTERS
} pattoo_table;

/* In place of a unit: the default one of the grant. */
#define PATTOO_DEFAULT_UNIT (-1)

/* Each reads `count` values of a device, by the name under which it was granted, into the array at the end. A read of at most
 * 125 registers or 2 000 bits is one request. */
pattoo_result pattoo_read_coils(const char *device, int unit, uint16_t address, uint16_t count, bool bits[]) PATTOO_CHECKED;
pattoo_result pattoo_read_discrete_inputs(const char *device, int unit, uint16_t address, uint16_t count,
                                          bool bits[]) PATTOO_CHECKED;
pattoo_result pattoo_read_holding_registers(const char *device, int unit, uint16_t address, uint16_t count,
                                            uint16_t registers[]) PATTOO_CHECKED;
pattoo_result pattoo_read_input_registers(const char *device, int unit, uint16_t address, uint16_t count,
                                          uint16_t registers[]) PATTOO_CHECKED;

/* One stretch of one table: what is asked, and what came of it. */
typedef struct {
  const char *device;
  int unit;
  pattoo_table table;
  uint16_t address, count;

  pattoo_result result;
  const char *error;         /* in words, if it failed */
  uint8_t exception;         /* the code of PATTOO_EXCEPTION */
  const bool *bits;          /* `count` of them, of coils and discrete inputs */
  const uint16_t *registers; /* `count` of them, of holding and input registers */
} pattoo_span;

/* Reads many spans at once: all devices in parallel, each device's spans in the fewest requests. What fails costs only its own
 * span. */
void pattoo_read_many(pattoo_span *spans, size_t count);

/* What the specification calls an exception: "illegal data address" for 2; "unknown" for a number that it does not have. */
const char *pattoo_exception_name(uint8_t exception);

/* A device that was granted. */
typedef struct {
  const char *name;
  const uint8_t *units; /* the default one first */
  size_t unit_count;
} pattoo_device;

const pattoo_device *pattoo_devices(size_t *count);

/* ---- HTTP ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  const char *name, *value; /* names of a response are in lower case */
} pattoo_header;

typedef struct {
  const char *method; /* NULL stands for GET */
  const char *url;
  const pattoo_header *headers;
  size_t header_count;
  const void *body; /* NULL stands for none */
  size_t body_size;
  uint32_t timeout_ms; /* for the whole fetch; 0 stands for the host's own limit, which holds in any case */
} pattoo_request;

typedef struct {
  pattoo_result result; /* every status is PATTOO_OK, 404 and 500 too */
  const char *error;    /* in words, if it failed */
  uint16_t status;
  const pattoo_header *headers;
  size_t header_count;
  const char *body; /* a NUL follows its last byte */
  size_t body_size;
} pattoo_response;

/* Fetches one URL. It returns the result that the response has, too. */
pattoo_result pattoo_fetch(const pattoo_request *request, pattoo_response *response) PATTOO_CHECKED;

/* Fetches many at once; a dead site costs its own responses only. */
void pattoo_fetch_all(const pattoo_request *requests, size_t count, pattoo_response *responses);

/* The value of a header, in any case of letters; NULL if there is none. */
const char *pattoo_response_header(const pattoo_response *response, const char *name);

/* ---- State ----------------------------------------------------------------------------------------------------------- */

/* What survives from one collection to the next. What is set is kept only if the collection ends well. */

/* The bytes of a key, a NUL after them; NULL if it was never set. `size` may be NULL. */
const char *pattoo_state_get(const char *key, size_t *size);
pattoo_result pattoo_state_set(const char *key, const void *value, size_t size) PATTOO_CHECKED;
void pattoo_state_remove(const char *key);
const char *const *pattoo_state_keys(size_t *count); /* sorted */

#ifdef __cplusplus
}
#endif

#endif
