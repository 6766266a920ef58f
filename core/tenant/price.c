/* price.c: prices a cart: four rules under one budget, the engine's arithmetic between them, the proof at the end. */
#include "tenant/price.h"
#include "base/err.h"
#include "tenant/rules.h"
#include "tenant/sheet.h"
#include <stdio.h>

typedef struct pricing {
    rules_t *rules;
    sheet_t sheet;
    rule_kind_t stage;
    result_t result;
} pricing_t;

/* The rule's function is at the top. Where it begins is kept, for faults that have no line of their own. */
static int push_arguments(lua_State *L, void *data) {
    pricing_t *pricing = data;
    int *line = &pricing->rules->lines[pricing->stage];
    lua_Debug about;
    if (!*line) {
        lua_pushvalue(L, -1);
        if (lua_getinfo(L, ">S", &about) && about.linedefined > 0) *line = about.linedefined;
    }
    return marshal_push(&pricing->rules->marshal, L, pricing->stage);
}

static int take_result(lua_State *L, void *data, sandbox_fault_t *fault) {
    pricing_t *pricing = data;
    rules_t *rules = pricing->rules;
    if (rules->observe) rules->observe(rules->observer, pricing->stage, L);
    return result_read(L, pricing->stage, &pricing->result, fault->text, sizeof(fault->text));
}

static int apply(pricing_t *pricing) {
    sheet_t *sheet = &pricing->sheet;
    const result_t *result = &pricing->result;
    switch (pricing->stage) {
    case RULE_PRICING:
        return sheet_adjust(sheet, result->items, result->count);
    case RULE_SHIPPING:
        return sheet_ship(sheet, result->items, result->count);
    case RULE_TAX:
        return sheet_tax(sheet, result->items, result->count);
    default:
        return sheet_violate(sheet, result->items, result->count);
    }
}

static int run_stage(pricing_t *pricing, sandbox_fault_t *fault) {
    rules_t *rules = pricing->rules;
    int ref = rules->refs[pricing->stage];
    if (pricing->stage == RULE_CHECKOUT) {
        int err = sheet_total(&pricing->sheet);
        if (err) return err;
    }
    if (ref == LUA_NOREF) return 0;
    pricing->result =
        (result_t){.arena = pricing->sheet.arena, .nlines = pricing->sheet.input->nlines};
    int err = sandbox_call(rules->sandbox, ref, push_arguments, take_result, pricing, fault);
    return err ? err : apply(pricing);
}

static int run_stages(pricing_t *pricing, sandbox_fault_t *fault) {
    int err = 0;
    sandbox_begin(pricing->rules->sandbox, pricing->sheet.input->seed);
    for (int stage = 0; stage < STAGES && !err; stage++) {
        pricing->stage = (rule_kind_t)stage;
        err = run_stage(pricing, fault);
    }
    sandbox_end(pricing->rules->sandbox, &pricing->sheet.quote->usage);
    return err;
}

static int run_all(pricing_t *pricing, sandbox_fault_t *fault) {
    sheet_t *sheet = &pricing->sheet;
    marshal_t *marshal = &pricing->rules->marshal;
    int err = sheet_open(sheet);
    if (err) return err;
    if (sheet->input->nlines > 0) {
        bool *filled = arena_zalloc(sheet->arena, sheet->input->nlines);
        if (!filled) return ERR_NO_MEMORY;
        marshal_begin(marshal, sheet->settings, sheet->input, sheet->quote, filled);
        err = run_stages(pricing, fault);
        marshal_end(marshal, sandbox_vm(pricing->rules->sandbox)->L);
    }
    return err ? err : sheet_prove(sheet);
}

/* Says which rule, when the sandbox did not: the sheet's complaints carry no place. A cart that cannot be is no rule's
   fault and names no file. */
static int name_fault(const pricing_t *pricing, int err, sandbox_fault_t *fault) {
    fault->err = err;
    if (!fault->file[0] && pricing->stage < STAGES)
        snprintf(fault->file, sizeof(fault->file), "%s", rule_kind_file(pricing->stage));
    if (!fault->line && pricing->stage < STAGES)
        fault->line = pricing->rules->lines[pricing->stage];
    if (!fault->text[0]) snprintf(fault->text, sizeof(fault->text), "%s", err_text(err));
    return err;
}

int price_quote(rules_t *rules, const settings_t *settings, const price_input_t *input,
    arena_t *arena, quote_t *quote, sandbox_fault_t *fault) {
    *fault = (sandbox_fault_t){0};
    *quote = (quote_t){.shippable = true};
    memcpy(quote->edition, rules->edition->hash, sizeof(quote->edition));
    pricing_t pricing = {.rules = rules,
        .stage = STAGES,
        .sheet = {settings, input, arena, quote, fault->text, sizeof(fault->text)}};
    int err = run_all(&pricing, fault);
    if (err) return name_fault(&pricing, err, fault);
    quote->priced = true;
    return 0;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

uint64_t price_seed(const price_input_t *input) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < input->nlines; i++) {
        const price_line_t *line = &input->lines[i];
        hash = mix(hash, line->product_id.ptr, line->product_id.len);
        hash = mix(hash, line->sku.ptr, line->sku.len);
        hash = mix(hash, &line->price, sizeof(line->price));
        hash = mix(hash, &line->quantity, sizeof(line->quantity));
    }
    for (size_t i = 0; i < input->ncodes; i++)
        hash = mix(hash, input->codes[i].ptr, input->codes[i].len);
    return (hash ^ hash >> 53) & ((UINT64_C(1) << 53) - 1);
}
