/* The functions of pattoo_host.h, answered by what a test set up. Not part of a collector under wasm. */
#ifndef __wasm__

#include "pattoo_test.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattoo_host.h"

/* ---- What was set up, and what came of it: lists that grow --------------------------------------------------------------- */

typedef struct {
  char *device;
  uint8_t unit;
  pattoo_table table;
  uint16_t address, word;
  uint8_t exception; /* 0: it has the word */
} cell;

typedef struct {
  char *name;
  pattoo_result failure;
} failure;

typedef struct {
  char *url;
  uint16_t status;
  char *body;
  pattoo_result failure;
} page;

typedef struct {
  char *key;
  char *bytes; /* NULL: removed */
  size_t size;
} entry;

typedef struct {
  void *items;
  size_t count;
} list;

static list cells, failures, pages, kept, written, points, lines, requests;
static char *settings;
static uint64_t ticks;

enum { COLLECTION_TIME_S = 1700000000 };

/* Room for one more item at the end of a list, zeroed. */
static void *add(list *to, size_t size) {
  to->items = realloc(to->items, (to->count + 1) * size);
  if (to->items == NULL) abort();
  void *item = (char *)to->items + to->count++ * size;
  return memset(item, 0, size);
}

#define ADD(to, type) ((type *)add(&(to), sizeof(type)))
#define ITEMS(of, type) ((type *)(of).items)

static void clear(list *whole) {
  free(whole->items);
  *whole = (list){NULL, 0};
}

static char *copied(const char *bytes, size_t length) {
  char *copy = malloc(length + 1);
  if (copy == NULL) abort();
  memcpy(copy, bytes, length);
  copy[length] = '\0';
  return copy;
}

static char *copy_of(const char *text) { return copied(text, strlen(text)); }

static bool is(host_string text, const char *other) {
  return strlen(other) == text.length && memcmp(text.bytes, other, text.length) == 0;
}

/* What the host returns lies in the collector's memory. */
static host_string returned(const char *text) {
  size_t length = strlen(text);
  return (host_string){memcpy(pattoo_allocate(length), text, length), length};
}

/* ---- Setting up ------------------------------------------------------------------------------------------------------------ */

static void forget_entries(list *entries) {
  for (size_t i = 0; i < entries->count; i++) {
    free(ITEMS(*entries, entry)[i].key);
    free(ITEMS(*entries, entry)[i].bytes);
  }
  clear(entries);
}

static void forget_collection(void) {
  clear(&points);
  clear(&lines);
  clear(&requests);
  forget_entries(&written);
  pattoo_release();
  ticks = 0;
}

void pattoo_test_reset(void) {
  forget_collection();
  for (size_t i = 0; i < cells.count; i++) free(ITEMS(cells, cell)[i].device);
  for (size_t i = 0; i < failures.count; i++) free(ITEMS(failures, failure)[i].name);
  for (size_t i = 0; i < pages.count; i++) {
    free(ITEMS(pages, page)[i].url);
    free(ITEMS(pages, page)[i].body);
  }
  clear(&cells);
  clear(&failures);
  clear(&pages);
  forget_entries(&kept);
  free(settings);
  settings = NULL;
}

void pattoo_test_settings(const char *json) {
  free(settings);
  settings = copy_of(json);
}

static void set_cell(const char *device, uint8_t unit, pattoo_table table, uint16_t address, uint16_t word, uint8_t exception) {
  *ADD(cells, cell) = (cell){copy_of(device), unit, table, address, word, exception};
}

void pattoo_test_registers(const char *device, uint8_t unit, pattoo_table table, uint16_t address, size_t count,
                           const uint16_t *registers) {
  for (size_t i = 0; i < count; i++) set_cell(device, unit, table, (uint16_t)(address + i), registers[i], 0);
}

void pattoo_test_bits(const char *device, uint8_t unit, pattoo_table table, uint16_t address, size_t count, const bool *bits) {
  for (size_t i = 0; i < count; i++) set_cell(device, unit, table, (uint16_t)(address + i), bits[i], 0);
}

void pattoo_test_exception(const char *device, uint8_t unit, pattoo_table table, uint16_t address, uint8_t exception) {
  set_cell(device, unit, table, address, 0, exception);
}

void pattoo_test_device_fails(const char *device, pattoo_result result) {
  set_cell(device, 1, PATTOO_COILS, 0, 0, 0);
  *ADD(failures, failure) = (failure){copy_of(device), result};
}

void pattoo_test_page(const char *url, uint16_t status, const char *body) {
  *ADD(pages, page) = (page){copy_of(url), status, copy_of(body), PATTOO_OK};
}

void pattoo_test_page_fails(const char *url, pattoo_result result) {
  *ADD(pages, page) = (page){copy_of(url), 0, copy_of(""), result};
}

/* Sets a key of a list of entries; `bytes` NULL removes it. */
static void set_entry(list *entries, host_string key, const uint8_t *bytes, size_t size) {
  entry *found = NULL;
  for (size_t i = 0; i < entries->count; i++) {
    if (is(key, ITEMS(*entries, entry)[i].key)) found = &ITEMS(*entries, entry)[i];
  }
  if (found == NULL) {
    found = ADD(*entries, entry);
    found->key = copied(key.bytes, key.length);
  }
  free(found->bytes);
  found->bytes = bytes != NULL ? copied((const char *)bytes, size) : NULL;
  found->size = size;
}

void pattoo_test_state(const char *key, const char *value) {
  set_entry(&kept, (host_string){key, strlen(key)}, (const uint8_t *)value, strlen(value));
}

/* ---- A collection ---------------------------------------------------------------------------------------------------------- */

pattoo_result pattoo_test_collect(void) {
  forget_collection();
  pattoo_result result = pattoo_collect();
  if (result == PATTOO_OK) {
    for (size_t i = 0; i < written.count; i++) {
      const entry *one = &ITEMS(written, entry)[i];
      set_entry(&kept, (host_string){one->key, strlen(one->key)}, (const uint8_t *)one->bytes, one->size);
    }
  }
  return result;
}

size_t pattoo_test_count(void) { return points.count; }

const pattoo_test_point *pattoo_test_point_at(size_t place) {
  return place < points.count ? &ITEMS(points, pattoo_test_point)[place] : NULL;
}

const pattoo_test_point *pattoo_test_find(const char *target, const char *key) {
  for (size_t i = 0; i < points.count; i++) {
    const pattoo_test_point *point = pattoo_test_point_at(i);
    if (strcmp(point->target, target) == 0 && strcmp(point->key, key) == 0) return point;
  }
  return NULL;
}

const char *pattoo_test_log(size_t place) { return place < lines.count ? ITEMS(lines, const char *)[place] : NULL; }

const char *pattoo_test_request(size_t place) {
  return place < requests.count ? ITEMS(requests, const char *)[place] : NULL;
}

static const entry *entry_of(const list *entries, host_string key) {
  for (size_t i = 0; i < entries->count; i++) {
    if (is(key, ITEMS(*entries, entry)[i].key)) return &ITEMS(*entries, entry)[i];
  }
  return NULL;
}

const char *pattoo_test_kept(const char *key) {
  const entry *found = entry_of(&kept, (host_string){key, strlen(key)});
  return found != NULL ? found->bytes : NULL;
}

/* ---- The host: who the collector is, clocks, log ------------------------------------------------------------------------------ */

void host_program(host_string *result) { *result = returned("TEST"); }
void host_settings(host_string *result) { *result = returned(settings != NULL ? settings : "{}"); }
int32_t host_polling_interval(void) { return 300; }
int64_t host_collection_time(void) { return COLLECTION_TIME_S * INT64_C(1000); }
/* Clocks move by a millisecond whenever one of them is read, so that tests give the same on each run. */
int64_t host_now(void) { return host_collection_time() + (int64_t)++ticks; }
int64_t host_monotonic(void) { return (int64_t)++ticks * 1000000; }

void host_log(int32_t level, const char *message, size_t length) {
  static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};
  *ADD(lines, const char *) = pattoo_format("%s: %.*s", levels[level], (int)length, message);
}

/* ---- Datapoints ------------------------------------------------------------------------------------------------------------------ */

/* A key as pattoo has it: stripped and in lower case. Without `lower` only stripped, as values are. */
static const char *normal(host_string text, bool lower) {
  while (text.length > 0 && isspace((unsigned char)*text.bytes)) text.bytes++, text.length--;
  while (text.length > 0 && isspace((unsigned char)text.bytes[text.length - 1])) text.length--;
  char *copy = pattoo_allocate(text.length);
  for (size_t i = 0; i < text.length; i++) copy[i] = lower ? (char)tolower((unsigned char)text.bytes[i]) : text.bytes[i];
  return copy;
}

static bool is_key(const char *key) { return *key != '\0' && strlen(key) <= 512 && strstr(key, "pattoo") == NULL; }

static bool same_series(const pattoo_test_point *one, const pattoo_test_point *other) {
  size_t next = 0;
  if (strcmp(one->target, other->target) != 0 || strcmp(one->key, other->key) != 0) return false;
  bool both_99 = one->value.type <= PATTOO_SCALED && other->value.type <= PATTOO_SCALED;
  if (one->value.type != other->value.type && !both_99) return false;
  for (size_t i = 0; i < one->metadata_count; i++) {
    const pattoo_metadatum *mine = &one->metadata[i];
    if (!mine->identifying) continue;
    while (next < other->metadata_count && !other->metadata[next].identifying) next++;
    if (next == other->metadata_count) return false;
    const pattoo_metadatum *theirs = &other->metadata[next++];
    if (strcmp(mine->key, theirs->key) != 0 || strcmp(mine->value, theirs->value) != 0) return false;
  }
  while (next < other->metadata_count && !other->metadata[next].identifying) next++;
  return next == other->metadata_count;
}

enum { REASON_KEY, REASON_VALUE, REASON_METADATA, REASON_TIMESTAMP, REASON_DUPLICATE, TAKEN = 255 };

/* Takes a datapoint, or says why not. */
static uint8_t take(const char *target, const host_datapoint *given, const char **why) {
  pattoo_test_point point = {.target = target, .key = normal(given->key, true)};
  *why = "";
  if (!is_key(point.key)) return *why = "a key is not empty, and does not contain `pattoo`", REASON_KEY;
  point.value.type = (pattoo_type)given->value.tag;
  switch (point.value.type) {
  case PATTOO_INTEGER: point.value.as.integer = given->value.as.integer; break;
  case PATTOO_SCALED:
  case PATTOO_FLOAT:
    point.value.as.number = given->value.as.number;
    if (!(fabs(point.value.as.number) < 1e30)) return *why = "it is not a number below 1e30", REASON_VALUE;
    break;
  case PATTOO_COUNTER32: point.value.as.counter32 = given->value.as.counter32; break;
  case PATTOO_COUNTER64: point.value.as.counter64 = given->value.as.counter64; break;
  case PATTOO_TEXT: point.value.as.text = normal(given->value.as.text, false); break;
  }
  uint64_t now = (uint64_t)host_collection_time() + ticks;
  point.timestamp = given->timestamp.some ? given->timestamp.milliseconds : now;
  if (point.timestamp < 2 || point.timestamp > now + 300000) {
    return *why = "it is more than 5 minutes ahead, or too old", REASON_TIMESTAMP;
  }
  pattoo_metadatum *metadata = pattoo_allocate(given->metadata.count * sizeof *metadata);
  for (size_t i = 0; i < given->metadata.count; i++) {
    const host_metadatum *one = &given->metadata.items[i];
    metadata[i] = (pattoo_metadatum){normal(one->key, true), normal(one->value, false), one->identifying};
    if (!is_key(metadata[i].key)) return *why = "the key of a metadatum is empty or contains `pattoo`", REASON_METADATA;
  }
  point.metadata = metadata;
  point.metadata_count = given->metadata.count;
  for (size_t i = 0; i < points.count; i++) {
    if (same_series(&point, pattoo_test_point_at(i))) return REASON_DUPLICATE;
  }
  *ADD(points, pattoo_test_point) = point;
  return TAKEN;
}

void host_emit(const char *target, size_t length, const host_datapoint *given, size_t count, host_emitted *result) {
  memset(result, 0, sizeof *result);
  const char *name = normal((host_string){target, length}, false);
  if (*name == '\0' || length > 512) {
    result->failed = 1;
    result->as.error = (host_reason){0, returned("the name of a target has 1 to 512 bytes")};
    return;
  }
  host_rejection *rejections = pattoo_allocate(count * sizeof *rejections);
  size_t refused = 0;
  for (size_t i = 0; i < count; i++) {
    const char *why;
    uint8_t reason = take(name, &given[i], &why);
    if (reason != TAKEN) rejections[refused++] = (host_rejection){(uint32_t)i, {reason, returned(why)}};
  }
  result->as.rejections.items = rejections;
  result->as.rejections.count = refused;
}

#include "pattoo_test_host.h"

#endif
