/* The host as pattoo.c sees it: the functions of `wit/` and their data as the canonical ABI lays them out.
 *
 * Under wasm they are imports; elsewhere pattoo_test.c has them. Records of the contract are structs, field by field; a variant
 * is a byte that tells the case, then a union of the payloads. That is also how C lays them out.
 */
#ifndef PATTOO_HOST_H
#define PATTOO_HOST_H

#include <stdint.h>
#include <stddef.h>

#ifdef __wasm__
#define HOST(interface, name) \
  __attribute__((import_module("pattoo:agent/" interface "@0.1.0"), import_name(name))) extern
#else
#define HOST(interface, name) extern
#endif

#define HOST_LIST(type) \
  struct { \
    const type *items; \
    size_t count; \
  }

typedef struct {
  const char *bytes;
  size_t length;
} host_string;

typedef HOST_LIST(uint8_t) host_bytes;
typedef HOST_LIST(uint8_t) host_bools;
typedef HOST_LIST(uint16_t) host_words;

/* A variant of which each case has a text or nothing. */
typedef struct {
  uint8_t tag;
  host_string text;
} host_reason;

HOST("agent", "program") void host_program(host_string *result);
HOST("agent", "polling-interval") int32_t host_polling_interval(void);
HOST("agent", "collection-time") int64_t host_collection_time(void);
HOST("agent", "settings") void host_settings(host_string *result);
HOST("clock", "now") int64_t host_now(void);
HOST("clock", "monotonic") int64_t host_monotonic(void);
HOST("log", "log") void host_log(int32_t level, const char *message, size_t length);

typedef struct {
  host_string key, value;
  uint8_t identifying;
} host_metadatum;

typedef struct {
  host_string key;
  struct {
    uint8_t tag;
    union {
      int64_t integer;
      double number;
      uint32_t counter32;
      uint64_t counter64;
      host_string text;
    } as;
  } value;
  struct {
    uint8_t some;
    uint64_t milliseconds;
  } timestamp;
  HOST_LIST(host_metadatum) metadata;
} host_datapoint;

typedef struct {
  uint32_t index;
  host_reason reason;
} host_rejection;

typedef struct {
  uint8_t failed;
  union {
    HOST_LIST(host_rejection) rejections;
    host_reason error;
  } as;
} host_emitted;

HOST("datapoints", "emit")
void host_emit(const char *target, size_t length, const host_datapoint *points, size_t count, host_emitted *result);

typedef struct {
  host_string device;
  struct {
    uint8_t some, number;
  } unit;
  uint8_t table;
  uint16_t address, count;
} host_span;

typedef struct {
  uint8_t tag;
  union {
    host_string text;
    uint8_t exception;
  } as;
} host_modbus_error;

enum { HOST_BITS, HOST_REGISTERS };

typedef struct {
  uint8_t failed;
  union {
    struct {
      uint8_t tag;
      union {
        host_bools bits;
        host_words registers;
      } as;
    } words;
    host_modbus_error error;
  } as;
} host_read;

typedef struct {
  uint8_t failed;
  union {
    host_bools bits;
    host_modbus_error error;
  } as;
} host_read_bits;

typedef struct {
  uint8_t failed;
  union {
    host_words registers;
    host_modbus_error error;
  } as;
} host_read_registers;

typedef struct {
  host_string name;
  host_bytes units;
} host_device;

typedef HOST_LIST(host_device) host_devices_list;
typedef HOST_LIST(host_read) host_reads;

HOST("modbus", "devices") void host_devices(host_devices_list *result);
HOST("modbus", "read-many") void host_read_many(const host_span *spans, size_t count, host_reads *result);
HOST("modbus", "read-coils")
void host_read_coils(const char *device, size_t length, int32_t unit_given, int32_t unit, int32_t address, int32_t count,
                     host_read_bits *result);
HOST("modbus", "read-discrete-inputs")
void host_read_discrete_inputs(const char *device, size_t length, int32_t unit_given, int32_t unit, int32_t address,
                               int32_t count, host_read_bits *result);
HOST("modbus", "read-holding-registers")
void host_read_holding_registers(const char *device, size_t length, int32_t unit_given, int32_t unit, int32_t address,
                                 int32_t count, host_read_registers *result);
HOST("modbus", "read-input-registers")
void host_read_input_registers(const char *device, size_t length, int32_t unit_given, int32_t unit, int32_t address,
                               int32_t count, host_read_registers *result);

typedef struct {
  host_string name, value;
} host_header;

typedef HOST_LIST(host_header) host_headers;

typedef struct {
  host_string method, url;
  host_headers headers;
  struct {
    uint8_t some;
    host_bytes bytes;
  } body;
  struct {
    uint8_t some;
    uint32_t milliseconds;
  } timeout;
} host_request;

typedef struct {
  uint8_t failed;
  union {
    struct {
      uint16_t status;
      host_headers headers;
      host_bytes body;
    } response;
    struct {
      uint8_t tag;
      union {
        host_string text;
        uint64_t limit;
        uint32_t redirects;
      } as;
    } error;
  } as;
} host_fetched;

typedef HOST_LIST(host_fetched) host_fetches;

HOST("http", "fetch")
void host_fetch(const char *method, size_t method_length, const char *url, size_t url_length, const host_header *headers,
                size_t header_count, int32_t body_given, const uint8_t *body, size_t body_size, int32_t timeout_given,
                int32_t timeout, host_fetched *result);
HOST("http", "fetch-all") void host_fetch_all(const host_request *requests, size_t count, host_fetches *result);

typedef struct {
  uint8_t some;
  host_bytes bytes;
} host_value;

typedef struct {
  uint8_t failed;
  host_reason error;
} host_set;

typedef HOST_LIST(host_string) host_strings;

HOST("state", "get") void host_state_get(const char *key, size_t length, host_value *result);
HOST("state", "set")
void host_state_set(const char *key, size_t length, const uint8_t *value, size_t size, host_set *result);
HOST("state", "remove") void host_state_remove(const char *key, size_t length);
HOST("state", "keys") void host_state_keys(host_strings *result);

/* Memory that lasts until the end of the collection, zeroed, with a NUL behind it. */
void *pattoo_allocate(size_t size);
/* Gives all of it back. Under wasm nobody calls this: the instance is dropped. */
void pattoo_release(void);
/* Sets the text of pattoo_error(), and returns the result. */
pattoo_result pattoo_fail_as(pattoo_result result, const char *format, ...) PATTOO_FORMAT(2, 3);

#endif
