/* rig.h: an edition, settings and a cart made of texts, for the tests of this room. */
#ifndef TENANT_RIG_H
#define TENANT_RIG_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "tenant/check.h"
#include "tenant/price.h"
#include "tenant/sample.h"

/* An edition of these texts; NULL is no file. hash is made of them, so that different texts differ. */
static inline edition_t *rig_edition(const char *slug, const char *pricing, const char *shipping,
    const char *tax, const char *checkout) {
    const char *texts[] = {pricing, shipping, tax, checkout};
    edition_t *edition = NULL;
    assert_int_equal(edition_of_file(RULE_PRICING, span_of(pricing ? pricing : ""), &edition), 0);
    for (int kind = 0; kind < 4; kind++) {
        edition->own[kind] = texts[kind] != NULL;
        edition->text[kind] =
            texts[kind] ? (span_t){arena_dup(&edition->arena, texts[kind], strlen(texts[kind])),
                              strlen(texts[kind])}
                        : (span_t){"", 0};
    }
    edition->slug = (span_t){arena_dup(&edition->arena, slug, strlen(slug)), strlen(slug)};
    unsigned hash = 17;
    for (int kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < edition->text[kind].len; i++)
            hash = hash * 31 + (unsigned char)edition->text[kind].ptr[i];
    snprintf(edition->hash, sizeof edition->hash, "%08x", hash);
    return edition;
}

/* Settings of a document with these members in its settings: "\"currency\":\"JPY\"". */
static inline settings_t *rig_settings(const char *members) {
    static const value_limits_t LIMITS = {.depth = 16, .nodes = 1000, .bytes = 65536};
    char json[1024], why[200] = "";
    arena_t arena;
    value_t document;
    snprintf(json, sizeof json,
        "{\"id\":\"01936b5c-0000-7000-8000-000000000001\",\"slug\":\"acme\",\"name\":\"Acme\","
        "\"settings\":{%s}}",
        members);
    arena_create(&arena);
    assert_int_equal(
        value_parse(span_of(json), &arena, &LIMITS, true, &document, why, sizeof why), 0);
    settings_t *settings = settings_new(&document, why, sizeof why);
    arena_destroy(&arena);
    if (!settings) fail_msg("%s", why);
    return settings;
}

/* What one pricing gives, with everything it needs. */
typedef struct rig {
    arena_t arena;
    edition_t *edition;
    settings_t *settings;
    rules_t *rules;
    sample_t sample;
    quote_t quote;
    sandbox_fault_t fault;
} rig_t;

static inline void rig_cart(rig_t *rig, const char *cart) {
    char why[200] = "";
    if (sample_parse(span_of(cart), rig->settings, &rig->arena, &rig->sample, why, sizeof why))
        fail_msg("%s", why);
}

/* Takes over edition and settings. */
static inline void rig_open(
    rig_t *rig, edition_t *edition, settings_t *settings, const char *cart) {
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    *rig = (rig_t){.edition = edition, .settings = settings};
    arena_create(&rig->arena);
    rig_cart(rig, cart);
    if (rules_open(edition, NULL, &limits, NULL, NULL, &rig->rules, &rig->fault))
        fail_msg("%s:%d: %s", rig->fault.file, rig->fault.line, rig->fault.text);
}

static inline int rig_price(rig_t *rig) {
    return price_quote(
        rig->rules, rig->settings, &rig->sample.input, &rig->arena, &rig->quote, &rig->fault);
}

static inline void rig_close(rig_t *rig) {
    rules_close(rig->rules);
    edition_unref(rig->edition);
    settings_unref(rig->settings);
    arena_destroy(&rig->arena);
}

#endif
