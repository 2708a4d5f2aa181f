/* Reading JSON: the settings of the operator, and documents of web sites. It is a thin layer over cJSON (cJSON.h), whose own
 * functions do the rest, such as walking through lists with cJSON_ArrayForEach.
 *
 * Each function that is given a key fails with PATTOO_NOT_JSON and a text that names it: "`unit` is missing". Whole numbers
 * are exact up to 2^53.
 */
#ifndef PATTOO_JSON_H
#define PATTOO_JSON_H

#include "cJSON.h"
#include "pattoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the operator set: a JSON object. */
pattoo_result pattoo_json_settings(const cJSON **settings) PATTOO_CHECKED;

/* A text as JSON. */
pattoo_result pattoo_json_parse(const char *text, size_t size, const cJSON **value) PATTOO_CHECKED;

bool pattoo_json_has(const cJSON *object, const char *key);
pattoo_result pattoo_json_text(const cJSON *object, const char *key, const char **text) PATTOO_CHECKED;
pattoo_result pattoo_json_number(const cJSON *object, const char *key, double *number) PATTOO_CHECKED;
/* A whole number from `lowest` to `highest`. */
pattoo_result pattoo_json_integer(const cJSON *object, const char *key, int64_t lowest, int64_t highest,
                                  int64_t *integer) PATTOO_CHECKED;
pattoo_result pattoo_json_object(const cJSON *object, const char *key, const cJSON **member) PATTOO_CHECKED;

#ifdef __cplusplus
}
#endif

#endif
