/* cart_hash.c: reads a cart's hash into items, codes and address, and writes back what has changed. */
#include "cart_hash.h"
#include <stdlib.h>
#include <yyjson.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/ident.h"
#include "base/money.h"
#include "lua/decimal.h"

#define ITEM "item:"
#define AMOUNTS 5
#define QUANTITY_MOST 1000000

static const value_limits_t LIMITS = {.depth = 6, .nodes = 2000, .bytes = 128 * 1024};

static span_t keep(cart_t *cart, span_t text, bool *failed) {
    char *copy = arena_dup(cart->arena, text.len ? text.ptr : "", text.len);
    if (!copy) *failed = true;
    return (span_t){copy, copy ? text.len : 0};
}

/* Reading */

static span_t text_of(yyjson_val *value) {
    bool text = yyjson_is_str(value) || yyjson_is_raw(value);
    if (!text) return (span_t){NULL, 0};
    return (span_t){unsafe_yyjson_get_raw(value), unsafe_yyjson_get_len(value)};
}

static int64_t whole_of(yyjson_val *value) {
    int64_t whole = -1;
    if (!yyjson_is_raw(value) || span_to_i64(text_of(value), &whole) != 0) return -1;
    return whole;
}

static bool read_object(cart_t *cart, yyjson_val *root, cart_item_t *item, bool *failed) {
    item->quantity = whole_of(yyjson_obj_get(root, "quantity"));
    item->position = whole_of(yyjson_obj_get(root, "position"));
    item->price = keep(cart, text_of(yyjson_obj_get(root, "price")), failed);
    item->sku = keep(cart, text_of(yyjson_obj_get(root, "sku")), failed);
    item->name = keep(cart, text_of(yyjson_obj_get(root, "name")), failed);
    return decimal_valid(item->price) && item->quantity >= 1 && item->quantity <= QUANTITY_MOST;
}

/* Of a field's name and its JSON. */
static bool read_item(cart_t *cart, const cache_field_t *field, cart_item_t *item, bool *failed) {
    yyjson_doc *doc = yyjson_read_opts(
        (char *)field->text.ptr, field->text.len, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    if (!doc) return false;
    bool fine = read_object(cart, yyjson_doc_get_root(doc), item, failed);
    yyjson_doc_free(doc);
    size_t space = sizeof ITEM - 1;
    span_t id = {field->name.ptr + space, field->name.len - space};
    item->product_id = keep(cart, id, failed);
    item->stored = keep(cart, field->text, failed);
    return fine;
}

static int by_position(const void *a, const void *b) {
    const cart_item_t *x = a, *y = b;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    size_t len = x->product_id.len < y->product_id.len ? x->product_id.len : y->product_id.len;
    return memcmp(x->product_id.ptr, y->product_id.ptr, len);
}

static int refuse_codes(cart_t *cart) {
    cart->ncodes = 0;
    return ERR_BAD_JSON;
}

static int read_codes(cart_t *cart) {
    value_t list;
    char why[100];
    int err = value_parse(cart->codes_json, cart->arena, &LIMITS, true, &list, why, sizeof why);
    if (err) return err;
    if (list.kind != VALUE_LIST) return refuse_codes(cart);
    span_t *codes = arena_alloc(cart->arena, (list.list.count + 1) * sizeof *codes);
    if (!codes) return ERR_NO_MEMORY;
    cart->codes = codes;
    for (size_t i = 0; i < list.list.count; i++) {
        if (list.list.items[i].kind != VALUE_STRING) return refuse_codes(cart);
        codes[cart->ncodes++] = list.list.items[i].string;
    }
    return 0;
}

int cart_set_codes(cart_t *cart, span_t json) {
    bool failed = false;
    cart->codes_json = keep(cart, json, &failed);
    cart->ncodes = 0;
    cart->options_changed = true;
    return failed ? ERR_NO_MEMORY : read_codes(cart);
}

int cart_set_address(cart_t *cart, span_t json) {
    bool failed = false;
    char why[100];
    value_t *address = arena_zalloc(cart->arena, sizeof *address);
    cart->address_json = keep(cart, json, &failed);
    cart->options_changed = true;
    cart->address = NULL;
    if (failed || !address) return ERR_NO_MEMORY;
    int err = value_parse(json, cart->arena, &LIMITS, true, address, why, sizeof why);
    if (!err && address->kind == VALUE_TABLE) cart->address = address;
    return err;
}

static int read_field(cart_t *cart, const cache_field_t *field) {
    bool failed = false;
    int err = 0;
    if (span_starts(field->name, SPAN(ITEM))) {
        cart_item_t *item = &cart->items[cart->count];
        cart->count += read_item(cart, field, item, &failed);
    } else if (span_eq(field->name, SPAN("id"))) {
        cart->id = keep(cart, field->text, &failed);
    } else if (span_eq(field->name, SPAN("updatedAt"))) {
        cart->updated_at = keep(cart, field->text, &failed);
    } else if (span_eq(field->name, SPAN("option"))) {
        cart->option = keep(cart, field->text, &failed);
    } else if (span_eq(field->name, SPAN("codes"))) {
        err = cart_set_codes(cart, field->text);
        if (err) cart->codes_json = (span_t){NULL, 0};
    } else if (span_eq(field->name, SPAN("address"))) {
        err = cart_set_address(cart, field->text);
        if (err) cart->address_json = (span_t){NULL, 0};
    }
    return failed || err == ERR_NO_MEMORY ? ERR_NO_MEMORY : 0;
}

int cart_read(cart_t *cart, arena_t *arena, const cache_cart_load_t *load) {
    *cart = (cart_t){.arena = arena, .version = load->version};
    cart->cap = load->count + 1; /* for one that is added */
    cart->items = arena_zalloc(arena, cart->cap * sizeof(cart_item_t));
    cart->gone = arena_alloc(arena, cart->cap * sizeof(span_t));
    if (!cart->items || !cart->gone) return ERR_NO_MEMORY;
    for (size_t i = 0; i < load->count; i++)
        if (read_field(cart, &load->fields[i])) return ERR_NO_MEMORY;
    qsort(cart->items, cart->count, sizeof *cart->items, by_position);
    cart->options_changed = false;
    return 0;
}

/* Editing */

cart_item_t *cart_find(const cart_t *cart, span_t product_id) {
    for (size_t i = 0; i < cart->count; i++)
        if (span_eq(cart->items[i].product_id, product_id)) return &cart->items[i];
    return NULL;
}

cart_item_t *cart_append(cart_t *cart, span_t product_id) {
    bool failed = cart->count == cart->cap;
    int64_t last = cart->count ? cart->items[cart->count - 1].position : 0;
    span_t id = keep(cart, product_id, &failed);
    if (failed) return NULL;
    cart_item_t *item = &cart->items[cart->count++];
    *item = (cart_item_t){.product_id = id, .position = last + 1, .changed = true};
    return item;
}

void cart_remove(cart_t *cart, cart_item_t *item) {
    size_t behind = (size_t)(cart->items + cart->count - item) - 1;
    cart->gone[cart->ngone++] = item->product_id;
    memmove(item, item + 1, behind * sizeof *item);
    cart->count--;
}

/* Writing */

typedef struct writer {
    cart_t *cart;
    cache_field_t *set;
    span_t *unset;
    size_t nset, nunset;
    buf_t buf;
    bool failed;
} writer_t;

static void put(writer_t *writer, span_t name, span_t text) {
    writer->set[writer->nset++] = (cache_field_t){name, text};
}

static span_t take_text(writer_t *writer) {
    writer->failed = writer->failed || writer->buf.failed;
    span_t text = keep(writer->cart, buf_view(&writer->buf), &writer->failed);
    buf_reset(&writer->buf);
    return text;
}

static span_t item_name(writer_t *writer, span_t product_id) {
    buf_text(&writer->buf, ITEM);
    buf_span(&writer->buf, product_id);
    return take_text(writer);
}

static bool is_own(span_t name) {
    static const char *const OWN[] = {"name", "position", "price", "productId", "quantity", "sku"};
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (span_eq(name, span_of(OWN[i]))) return true;
    return false;
}

/* What others have put into the item's JSON stays there. */
static void put_others(writer_t *writer, const cart_item_t *item) {
    yyjson_doc *doc = item->stored.len
                          ? yyjson_read_opts((char *)item->stored.ptr, item->stored.len,
                                YYJSON_READ_NUMBER_AS_RAW, NULL, NULL)
                          : NULL;
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&iter));) {
        size_t len;
        if (is_own(text_of(name))) continue;
        char *text = yyjson_val_write(yyjson_obj_iter_get_val(name), 0, &len);
        writer->failed = writer->failed || !text;
        if (!text) continue;
        buf_char(&writer->buf, ',');
        buf_json(&writer->buf, text_of(name));
        buf_char(&writer->buf, ':');
        buf_put(&writer->buf, text, len);
        free(text);
    }
    yyjson_doc_free(doc);
}

static void put_item(writer_t *writer, const cart_item_t *item) {
    buf_t *buf = &writer->buf;
    span_t name = item_name(writer, item->product_id);
    buf_text(buf, "{\"name\":");
    buf_json(buf, item->name);
    buf_text(buf, ",\"position\":");
    buf_i64(buf, item->position);
    buf_text(buf, ",\"price\":");
    buf_span(buf, item->price);
    buf_text(buf, ",\"productId\":");
    buf_json(buf, item->product_id);
    buf_text(buf, ",\"quantity\":");
    buf_i64(buf, item->quantity);
    buf_text(buf, ",\"sku\":");
    buf_json(buf, item->sku);
    put_others(writer, item);
    buf_char(buf, '}');
    put(writer, name, take_text(writer));
}

static void put_options(writer_t *writer) {
    cart_t *cart = writer->cart;
    if (!cart->codes_json.len) cart->codes_json = SPAN("[]");
    put(writer, SPAN("codes"), cart->codes_json);
    if (cart->address_json.len) put(writer, SPAN("address"), cart->address_json);
    if (cart->option.len) put(writer, SPAN("option"), cart->option);
}

/* An unpriced cart has no amounts: those of before would be wrong ones. */
static void put_amounts(writer_t *writer, const quote_t *quote, int digits) {
    static const char *const NAMES[AMOUNTS] = {"subtotal", "discount", "shipping", "tax", "total"};
    const int64_t amounts[AMOUNTS] = {
        quote->subtotal, quote->discount, quote->shipping, quote->tax, quote->total};
    for (int i = 0; i < AMOUNTS; i++) {
        if (quote->priced) {
            money_print(&writer->buf, amounts[i], digits);
            put(writer, span_of(NAMES[i]), take_text(writer));
        } else {
            writer->unset[writer->nunset++] = span_of(NAMES[i]);
        }
    }
}

static void put_stamps(writer_t *writer) {
    cart_t *cart = writer->cart;
    char id[37], now[25];
    if (!cart->id.len) {
        ident_uuid(id);
        cart->id = keep(cart, (span_t){id, 36}, &writer->failed);
        put(writer, SPAN("id"), cart->id);
    }
    clock_iso(clock_wall_ms(), now);
    cart->updated_at = keep(cart, (span_t){now, 24}, &writer->failed);
    put(writer, SPAN("updatedAt"), cart->updated_at);
}

/* An item that was taken out and put in again is not gone. */
static void drop_gone(writer_t *writer) {
    const cart_t *cart = writer->cart;
    for (size_t i = 0; i < cart->ngone; i++)
        if (!cart_find(cart, cart->gone[i]))
            writer->unset[writer->nunset++] = item_name(writer, cart->gone[i]);
}

int cart_write(cart_t *cart, const quote_t *quote, int digits, cache_cart_save_t *save) {
    writer_t writer = {.cart = cart};
    writer.set = arena_alloc(cart->arena, (cart->count + AMOUNTS + 8) * sizeof *writer.set);
    writer.unset = arena_alloc(cart->arena, (cart->ngone + AMOUNTS) * sizeof *writer.unset);
    if (!writer.set || !writer.unset) return ERR_NO_MEMORY;
    buf_create(&writer.buf);
    for (size_t i = 0; i < cart->count; i++)
        if (cart->items[i].changed) put_item(&writer, &cart->items[i]);
    if (cart->options_changed || !cart->codes_json.len) put_options(&writer);
    put_amounts(&writer, quote, digits);
    put_stamps(&writer);
    drop_gone(&writer);
    buf_destroy(&writer.buf);
    save->version = cart->version;
    save->set = writer.set;
    save->nset = writer.nset;
    save->unset = writer.unset;
    save->nunset = writer.nunset;
    return writer.failed ? ERR_NO_MEMORY : 0;
}
