/* quote_json.c: writes a quote as the JSON that tools and reports show, amounts as decimals. */
#include "tenant/price.h"

static void put_amount(buf_t *out, const char *name, int64_t amount, int digits) {
    buf_printf(out, ",\"%s\":", name);
    money_print(out, amount, digits);
}

static void put_text(buf_t *out, const char *name, span_t text) {
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, text);
}

static void put_discounts(const quote_t *quote, int digits, buf_t *out) {
    buf_text(out, ",\"discounts\":[");
    for (size_t i = 0; i < quote->discounts.count; i++) {
        const quote_discount_t *discount = &quote->discounts.items[i];
        buf_text(out, i ? ",{\"reason\":" : "{\"reason\":");
        buf_json(out, discount->reason);
        if (discount->code.len) put_text(out, "code", discount->code);
        put_amount(out, "amount", discount->amount, digits);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void put_options(const quote_t *quote, int digits, buf_t *out) {
    buf_text(out, ",\"shippingOptions\":[");
    for (size_t i = 0; i < quote->options.count; i++) {
        const quote_option_t *option = &quote->options.items[i];
        buf_text(out, i ? ",{\"id\":" : "{\"id\":");
        buf_json(out, option->id);
        put_text(out, "name", option->name);
        put_amount(out, "amount", option->amount, digits);
        if (option->days >= 0) buf_printf(out, ",\"days\":%d", option->days);
        buf_char(out, '}');
    }
    buf_char(out, ']');
    if (quote->shipping_option.len) put_text(out, "shippingOption", quote->shipping_option);
}

static void put_taxes(const quote_t *quote, int digits, buf_t *out) {
    buf_text(out, ",\"taxLines\":[");
    for (size_t i = 0; i < quote->taxes.count; i++) {
        const quote_tax_t *tax = &quote->taxes.items[i];
        buf_text(out, i ? ",{\"name\":" : "{\"name\":");
        buf_json(out, tax->name);
        put_text(out, "rate", tax->rate);
        put_amount(out, "amount", tax->amount, digits);
        buf_printf(out, ",\"inclusive\":%s}", tax->inclusive ? "true" : "false");
    }
    buf_char(out, ']');
}

static void put_violations(const quote_t *quote, buf_t *out) {
    buf_text(out, ",\"violations\":[");
    for (size_t i = 0; i < quote->violations.count; i++) {
        const quote_violation_t *violation = &quote->violations.items[i];
        buf_text(out, i ? ",{\"code\":" : "{\"code\":");
        buf_json(out, violation->code);
        put_text(out, "message", violation->message);
        if (violation->line) buf_printf(out, ",\"line\":%d", violation->line);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void put_explain(const quote_t *quote, int digits, buf_t *out) {
    buf_text(out, ",\"explain\":[");
    for (size_t i = 0; i < quote->explain.count; i++) {
        const quote_entry_t *entry = &quote->explain.items[i];
        buf_printf(out, "%s{\"rule\":\"%s\"", i ? "," : "", rule_kind_name(entry->rule));
        if (entry->line) buf_printf(out, ",\"line\":%d", entry->line);
        if (entry->order) buf_text(out, ",\"order\":true");
        if (entry->shipping) buf_text(out, ",\"shipping\":true");
        if (entry->inclusive) buf_text(out, ",\"inclusive\":true");
        put_amount(out, "amount", entry->amount, digits);
        put_text(out, "reason", entry->reason);
        if (entry->code.len) put_text(out, "code", entry->code);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

void quote_json(const quote_t *quote, const settings_t *settings, bool explain, buf_t *out) {
    int digits = settings->digits;
    buf_printf(out, "{\"priced\":%s,\"currency\":\"%s\"", quote->priced ? "true" : "false",
        settings->currency);
    if (!quote->priced) {
        put_text(out, "reason", quote->reason);
    } else {
        put_amount(out, "subtotal", quote->subtotal, digits);
        put_discounts(quote, digits, out);
        put_amount(out, "discount", quote->discount, digits);
        put_options(quote, digits, out);
        put_amount(out, "shipping", quote->shipping, digits);
        put_taxes(quote, digits, out);
        put_amount(out, "tax", quote->tax, digits);
        put_amount(out, "taxIncluded", quote->tax_included, digits);
        put_amount(out, "total", quote->total, digits);
        put_violations(quote, out);
        if (explain) put_explain(quote, digits, out);
    }
    buf_printf(out, ",\"ruleEdition\":\"%s\"}", quote->edition);
}
