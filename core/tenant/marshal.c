/* marshal.c: builds cart and ctx from a template and fills in texts and lists when a rule asks for them. */
#include "tenant/marshal.h"
#include "base/err.h"

/* The line's number stands in its table at [0], where neither # nor ipairs looks, until the table is filled. A
   script that writes it reads another line of its own cart; the number is checked. */
#define LINE_SLOT 0

enum {
    SLOT_LINE = 1,
    SLOT_CART,
    SLOT_CTX,
    SLOT_LINE_META,
    SLOT_CART_META,
    SLOT_CTX_META,
    SLOT_CART_NOW,
    SLOT_CTX_NOW,
    SLOT_LINES
};

/* Constructors copy a template: one allocation of the right size instead of a growing table. */
static const char TEMPLATES[] =
    "return function(price, quantity, subtotal, weight_grams, at)\n"
    "  return { price = price, quantity = quantity, subtotal = subtotal, weight_grams = "
    "weight_grams,\n"
    "    [0] = at }\n"
    "end, function(currency, count, subtotal, items)\n"
    "  return { currency = currency, count = count, subtotal = subtotal, items = items,\n"
    "    discounted = nil, shipping = nil, tax = nil, total = nil }\n"
    "end, function(channel, seed)\n"
    "  return { channel = channel, seed = seed }\n"
    "end\n";

static void push_span(lua_State *L, span_t text) {
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
}

static void set_int(lua_State *L, int table, const char *name, int64_t value) {
    lua_pushstring(L, name);
    lua_pushnumber(L, (lua_Number)value);
    lua_rawset(L, table);
}

static void set_text(lua_State *L, int table, const char *name, span_t text) {
    lua_pushstring(L, name);
    push_span(L, text);
    lua_rawset(L, table);
}

static void push_table(lua_State *L, const value_t *value) {
    if (value && (value->kind == VALUE_TABLE || value->kind == VALUE_LIST))
        value_push(L, value);
    else
        lua_newtable(L);
}

typedef bool (*part_fn)(lua_State *L, const marshal_t *marshal, size_t line);
typedef struct part {
    const char *name;
    part_fn push; /* pushes one value, or nothing and false when there is none */
} part_t;

static bool push_product_id(lua_State *L, const marshal_t *marshal, size_t line) {
    push_span(L, marshal->input->lines[line].product_id);
    return true;
}

static bool push_sku(lua_State *L, const marshal_t *marshal, size_t line) {
    push_span(L, marshal->input->lines[line].sku);
    return true;
}

static bool push_name(lua_State *L, const marshal_t *marshal, size_t line) {
    push_span(L, marshal->input->lines[line].name);
    return true;
}

static const value_t *fetch(
    const marshal_t *marshal, const value_t *held, size_t line, price_part_t part) {
    const price_input_t *input = marshal->input;
    return held || !input->part ? held : input->part(input->data, line, part);
}

static bool push_category(lua_State *L, const marshal_t *marshal, size_t line) {
    push_table(L, fetch(marshal, marshal->input->lines[line].category, line, PART_CATEGORY));
    return true;
}

static bool push_attributes(lua_State *L, const marshal_t *marshal, size_t line) {
    push_table(L, fetch(marshal, marshal->input->lines[line].attributes, line, PART_ATTRIBUTES));
    return true;
}

static bool push_discounted(lua_State *L, const marshal_t *marshal, size_t line) {
    if (marshal->stage < RULE_SHIPPING) return false;
    lua_pushnumber(L, (lua_Number)marshal->quote->line_nets[line]);
    return true;
}

static bool push_net(lua_State *L, const marshal_t *marshal, size_t line) {
    return marshal->stage >= RULE_TAX && push_discounted(L, marshal, line);
}

static bool push_codes(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    lua_createtable(L, (int)marshal->input->ncodes, 0);
    for (size_t i = 0; i < marshal->input->ncodes; i++) {
        push_span(L, marshal->input->codes[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return true;
}

static bool push_tenant(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    lua_createtable(L, 0, 4);
    int table = lua_gettop(L);
    set_text(L, table, "id", marshal->settings->id);
    set_text(L, table, "slug", marshal->settings->slug);
    set_text(L, table, "name", marshal->settings->name);
    lua_pushliteral(L, "settings");
    push_table(L, &marshal->settings->for_rules);
    lua_rawset(L, table);
    return true;
}

static void set_default(lua_State *L, int table, const char *name, const char *text) {
    lua_pushstring(L, name);
    lua_rawget(L, table);
    bool absent = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (absent && text) set_text(L, table, name, span_of(text));
    if (!absent || text) return;
    lua_pushstring(L, name);
    lua_newtable(L);
    lua_rawset(L, table);
}

static bool push_customer(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    push_table(L, marshal->input->customer);
    int table = lua_gettop(L);
    set_default(L, table, "group", "guest");
    set_default(L, table, "tags", NULL);
    lua_pushliteral(L, "orders");
    lua_rawget(L, table);
    bool absent = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (absent) set_int(L, table, "orders", 0);
    return true;
}

static bool push_address(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    if (!marshal->input->address) return false;
    push_table(L, marshal->input->address);
    return true;
}

static bool push_currency(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    lua_createtable(L, 0, 2);
    int table = lua_gettop(L);
    set_text(L, table, "code", span_of(marshal->settings->currency));
    set_int(L, table, "digits", marshal->settings->digits);
    return true;
}

static bool push_now(lua_State *L, const marshal_t *marshal, size_t line) {
    (void)line;
    calendar_t now;
    char iso[25];
    zone_calendar(marshal->settings->zone, marshal->input->now_ms, &now);
    clock_iso(marshal->input->now_ms, iso);
    lua_createtable(L, 0, 8);
    int table = lua_gettop(L);
    set_int(L, table, "epoch", marshal->input->now_ms / 1000);
    set_text(L, table, "iso", span_of(iso));
    set_int(L, table, "year", now.year);
    set_int(L, table, "month", now.month);
    set_int(L, table, "day", now.day);
    set_int(L, table, "hour", now.hour);
    set_int(L, table, "minute", now.minute);
    set_int(L, table, "weekday", now.weekday);
    return true;
}

static const part_t LINE_PARTS[] = {{"productId", push_product_id}, {"sku", push_sku},
    {"name", push_name}, {"category", push_category}, {"attributes", push_attributes},
    {"discounted", push_discounted}, {"net", push_net}, {NULL, NULL}};
static const part_t CART_PARTS[] = {{"codes", push_codes}, {NULL, NULL}};
static const part_t CTX_PARTS[] = {{"tenant", push_tenant}, {"customer", push_customer},
    {"address", push_address}, {"currency", push_currency}, {"now", push_now}, {NULL, NULL}};

static bool find_line(lua_State *L, const marshal_t *marshal, size_t *line) {
    lua_rawgeti(L, 1, LINE_SLOT);
    lua_Number number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    lua_pop(L, 1);
    if (!(number >= 1 && number <= (lua_Number)marshal->input->nlines)) return false;
    *line = (size_t)number - 1;
    return true;
}

/* __index(table, key): pushes the part and keeps it in the table. */
static int index_part(lua_State *L, const part_t *parts, const marshal_t *marshal, size_t line) {
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    const char *name = lua_tostring(L, 2);
    while (parts->name && strcmp(parts->name, name) != 0)
        parts++;
    lua_settop(L, 2);
    if (!parts->name || !parts->push(L, marshal, line)) return 0;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
    lua_settop(L, 3);
    return 1;
}

/* Puts in every part that is not there and takes the metatable away. */
static int fill_parts(lua_State *L, const part_t *parts, const marshal_t *marshal, size_t line) {
    lua_settop(L, 1);
    for (; parts->name; parts++) {
        lua_pushstring(L, parts->name);
        lua_pushvalue(L, 2);
        lua_rawget(L, 1);
        bool absent = lua_isnil(L, -1);
        lua_pop(L, 1);
        if (absent && parts->push(L, marshal, line)) lua_rawset(L, 1);
        lua_settop(L, 1);
    }
    lua_pushnil(L);
    lua_setmetatable(L, 1);
    return 0;
}

static marshal_t *marshal_here(lua_State *L) {
    marshal_t *marshal = lua_touserdata(L, lua_upvalueindex(1));
    return marshal->input && lua_istable(L, 1) ? marshal : NULL;
}

static int index_line(lua_State *L) {
    size_t line;
    const marshal_t *marshal = marshal_here(L);
    return marshal && find_line(L, marshal, &line) ? index_part(L, LINE_PARTS, marshal, line) : 0;
}

static int fill_line(lua_State *L) {
    size_t line;
    const marshal_t *marshal = marshal_here(L);
    if (!marshal || !find_line(L, marshal, &line)) return 0;
    lua_pushnil(L);
    lua_rawseti(L, 1, LINE_SLOT);
    marshal->filled[line] = true;
    return fill_parts(L, LINE_PARTS, marshal, line);
}

static int index_cart(lua_State *L) {
    const marshal_t *marshal = marshal_here(L);
    return marshal ? index_part(L, CART_PARTS, marshal, 0) : 0;
}

static int fill_cart(lua_State *L) {
    const marshal_t *marshal = marshal_here(L);
    return marshal ? fill_parts(L, CART_PARTS, marshal, 0) : 0;
}

static int index_ctx(lua_State *L) {
    const marshal_t *marshal = marshal_here(L);
    return marshal ? index_part(L, CTX_PARTS, marshal, 0) : 0;
}

static int fill_ctx(lua_State *L) {
    const marshal_t *marshal = marshal_here(L);
    return marshal ? fill_parts(L, CTX_PARTS, marshal, 0) : 0;
}

/* A metatable that scripts can neither get nor take off. */
static void put_meta(
    lua_State *L, marshal_t *marshal, int slot, lua_CFunction index, lua_CFunction fill) {
    lua_createtable(L, 0, 3);
    lua_pushlightuserdata(L, marshal);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushlightuserdata(L, marshal);
    lua_pushcclosure(L, fill, 1);
    lua_setfield(L, -2, "__fill");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawseti(L, -2, slot);
}

static int open_protected(lua_State *L) {
    marshal_t *marshal = lua_touserdata(L, 1);
    lua_createtable(L, SLOT_LINES, 0);
    int holder = lua_gettop(L);
    if (luaL_loadbuffer(L, TEMPLATES, sizeof(TEMPLATES) - 1, "=marshal")) return lua_error(L);
    lua_call(L, 0, 3);
    lua_rawseti(L, holder, SLOT_CTX);
    lua_rawseti(L, holder, SLOT_CART);
    lua_rawseti(L, holder, SLOT_LINE);
    put_meta(L, marshal, SLOT_LINE_META, index_line, fill_line);
    put_meta(L, marshal, SLOT_CART_META, index_cart, fill_cart);
    put_meta(L, marshal, SLOT_CTX_META, index_ctx, fill_ctx);
    for (int slot = SLOT_CART_NOW; slot <= SLOT_LINES; slot++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, holder, slot);
    }
    marshal->holder = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int marshal_open(marshal_t *marshal, vm_t *vm, char *error, size_t size) {
    *marshal = (marshal_t){.holder = LUA_NOREF};
    return vm_protect(vm, open_protected, marshal, error, size);
}

void marshal_begin(marshal_t *marshal, const settings_t *settings, const price_input_t *input,
    const quote_t *quote, bool *filled) {
    marshal->settings = settings;
    marshal->input = input;
    marshal->quote = quote;
    marshal->filled = filled;
    marshal->built = false;
}

/* Fills the table at `lines` (own list) and the one at `items` (the script's). */
static void build_lines(marshal_t *marshal, lua_State *L, int holder, int lines, int items) {
    lua_rawgeti(L, holder, SLOT_LINE_META);
    lua_rawgeti(L, holder, SLOT_LINE);
    int meta = lua_gettop(L) - 1, make = meta + 1;
    for (size_t i = 0; i < marshal->input->nlines; i++) {
        const price_line_t *line = &marshal->input->lines[i];
        lua_pushvalue(L, make);
        lua_pushnumber(L, (lua_Number)line->price);
        lua_pushnumber(L, (lua_Number)line->quantity);
        lua_pushnumber(L, (lua_Number)marshal->quote->line_subtotals[i]);
        lua_pushnumber(L, (lua_Number)line->weight_grams);
        lua_pushinteger(L, (lua_Integer)i + 1);
        lua_call(L, 5, 1);
        lua_pushvalue(L, meta);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_rawseti(L, lines, (int)i + 1);
        lua_rawseti(L, items, (int)i + 1);
    }
    lua_settop(L, meta - 1);
}

static int64_t count_items(const price_input_t *input) {
    int64_t count = 0;
    for (size_t i = 0; i < input->nlines; i++)
        count += input->lines[i].quantity;
    return count;
}

static void build_cart(marshal_t *marshal, lua_State *L, int holder) {
    int n = (int)marshal->input->nlines;
    lua_createtable(L, n, 0);
    int lines = lua_gettop(L);
    lua_rawgeti(L, holder, SLOT_CART);
    lua_pushstring(L, marshal->settings->currency);
    lua_pushnumber(L, (lua_Number)count_items(marshal->input));
    lua_pushnumber(L, (lua_Number)marshal->quote->subtotal);
    lua_createtable(L, n, 0);
    build_lines(marshal, L, holder, lines, lua_gettop(L));
    lua_call(L, 4, 1);
    lua_rawgeti(L, holder, SLOT_CART_META);
    lua_setmetatable(L, -2);
    lua_rawseti(L, holder, SLOT_CART_NOW);
    lua_rawseti(L, holder, SLOT_LINES);
}

static void build_ctx(marshal_t *marshal, lua_State *L, int holder) {
    span_t channel = marshal->input->channel;
    lua_rawgeti(L, holder, SLOT_CTX);
    push_span(L, channel.len ? channel : SPAN("web"));
    lua_pushnumber(L, (lua_Number)(marshal->input->seed & ((UINT64_C(1) << 53) - 1)));
    lua_call(L, 2, 1);
    lua_rawgeti(L, holder, SLOT_CTX_META);
    lua_setmetatable(L, -2);
    lua_rawseti(L, holder, SLOT_CTX_NOW);
}

/* Whatever the script did to the list, the next stage finds the lines in the cart's order. */
static void renew_items(marshal_t *marshal, lua_State *L, int holder, int cart) {
    lua_rawgeti(L, holder, SLOT_LINES);
    int lines = lua_gettop(L), n = (int)marshal->input->nlines;
    lua_pushliteral(L, "items");
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, lines, i);
        if (marshal->filled[i - 1]) {
            int64_t net = marshal->quote->line_nets[i - 1];
            if (marshal->stage >= RULE_SHIPPING) set_int(L, lines + 3, "discounted", net);
            if (marshal->stage >= RULE_TAX) set_int(L, lines + 3, "net", net);
        }
        lua_rawseti(L, lines + 2, i);
    }
    lua_rawset(L, cart);
    lua_settop(L, lines - 1);
}

static void renew_cart(marshal_t *marshal, lua_State *L, int cart) {
    const quote_t *quote = marshal->quote;
    int64_t discounted = quote->subtotal - quote->discount;
    set_int(L, cart, "discounted", discounted);
    if (marshal->stage < RULE_TAX) return;
    set_int(L, cart, "shipping", quote->shipping);
    if (marshal->stage < RULE_CHECKOUT) return;
    set_int(L, cart, "discount", quote->discount);
    set_int(L, cart, "tax", quote->tax);
    set_int(L, cart, "total", quote->total);
}

int marshal_push(marshal_t *marshal, lua_State *L, rule_kind_t stage) {
    luaL_checkstack(L, 20, "cart");
    lua_rawgeti(L, LUA_REGISTRYINDEX, marshal->holder);
    int holder = lua_gettop(L);
    marshal->stage = stage;
    bool renewed = marshal->built;
    if (!marshal->built) {
        build_cart(marshal, L, holder);
        build_ctx(marshal, L, holder);
        marshal->built = true;
    }
    lua_rawgeti(L, holder, SLOT_CART_NOW);
    lua_rawgeti(L, holder, SLOT_CTX_NOW);
    if (renewed) renew_items(marshal, L, holder, holder + 1);
    if (stage > RULE_PRICING) renew_cart(marshal, L, holder + 1);
    lua_remove(L, holder);
    return 2;
}

/* Outside of protection: only slots that exist are written, which allocates nothing. */
void marshal_end(marshal_t *marshal, lua_State *L) {
    if (marshal->built) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, marshal->holder);
        for (int slot = SLOT_CART_NOW; slot <= SLOT_LINES; slot++) {
            lua_pushboolean(L, 0);
            lua_rawseti(L, -2, slot);
        }
        lua_pop(L, 1);
    }
    marshal_begin(marshal, NULL, NULL, NULL, NULL);
}
