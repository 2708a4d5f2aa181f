#include "pattoo_json.h"

#include <math.h>
#include <string.h>

#include "pattoo_host.h"

/* What is parsed stays until the end of the collection. */
static void keep(void *memory) { (void)memory; }

pattoo_result pattoo_json_parse(const char *text, size_t size, const cJSON **value) {
  cJSON_Hooks hooks = {pattoo_allocate, keep};
  cJSON_InitHooks(&hooks);
  const char *end = NULL;
  /* With the NUL behind the text, which must be all that follows the value. */
  *value = cJSON_ParseWithLengthOpts(text, size + 1, &end, true);
  if (*value != NULL) return PATTOO_OK;
  size_t at = end != NULL && end >= text ? (size_t)(end - text) : 0;
  return pattoo_fail_as(PATTOO_NOT_JSON, "it is not JSON: there is a mistake near byte %zu", at);
}

pattoo_result pattoo_json_settings(const cJSON **settings) {
  const char *text = pattoo_settings();
  return pattoo_json_parse(text, strlen(text), settings);
}

bool pattoo_json_has(const cJSON *object, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(object, key) != NULL;
}

/* The member of a key if it is of the kind that is wanted. */
static pattoo_result member_of(const cJSON *object, const char *key, cJSON_bool (*is_wanted)(const cJSON *),
                               const char *wanted, const cJSON **member) {
  *member = cJSON_GetObjectItemCaseSensitive(object, key);
  if (*member == NULL) return pattoo_fail_as(PATTOO_NOT_JSON, "`%s` is missing", key);
  if (!is_wanted(*member)) return pattoo_fail_as(PATTOO_NOT_JSON, "`%s` is not %s", key, wanted);
  return PATTOO_OK;
}

pattoo_result pattoo_json_text(const cJSON *object, const char *key, const char **text) {
  const cJSON *member;
  pattoo_result result = member_of(object, key, cJSON_IsString, "a text", &member);
  if (result == PATTOO_OK) *text = member->valuestring;
  return result;
}

pattoo_result pattoo_json_number(const cJSON *object, const char *key, double *number) {
  const cJSON *member;
  pattoo_result result = member_of(object, key, cJSON_IsNumber, "a number", &member);
  if (result == PATTOO_OK) *number = member->valuedouble;
  return result;
}

pattoo_result pattoo_json_integer(const cJSON *object, const char *key, int64_t lowest, int64_t highest, int64_t *integer) {
  static const double exact = 9007199254740992.0; /* 2^53: beyond it a number may not be the one that was written */
  double number;
  pattoo_result result = pattoo_json_number(object, key, &number);
  if (result != PATTOO_OK) return result;
  bool whole = fabs(number) < exact && trunc(number) == number;
  if (!whole || (int64_t)number < lowest || (int64_t)number > highest) {
    return pattoo_fail_as(PATTOO_NOT_JSON, "`%s` is not a whole number from %lld to %lld", key, (long long)lowest,
                          (long long)highest);
  }
  *integer = (int64_t)number;
  return PATTOO_OK;
}

pattoo_result pattoo_json_object(const cJSON *object, const char *key, const cJSON **member) {
  return member_of(object, key, cJSON_IsObject, "an object", member);
}
