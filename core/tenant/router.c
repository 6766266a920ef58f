/* router.c: a tree of path segments; a node has fixed children, one parameter child, and a route per method. */
#include "tenant/router.h"
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>

#define METHODS_MAX 8
#define SEGMENTS_MAX 32

typedef struct node {
    span_t segment; /* in text behind the node; a parameter's name is in the route's pattern */
    struct node *next, *children, *param;
    route_t *routes[METHODS_MAX];
    int nroutes;
} node_t;

struct router {
    node_t root;
};

typedef struct walk {
    span_t method;
    span_t segments[SEGMENTS_MAX]; /* decoded */
    int nsegments;
    route_match_t *match;
} walk_t;

router_t *router_new(void) {
    return calloc(1, sizeof(router_t));
}

static void free_node(node_t *node) {
    for (node_t *child = node->children, *next; child; child = next) {
        next = child->next;
        free_node(child);
        free(child);
    }
    if (node->param) free_node(node->param);
    free(node->param);
    for (int i = 0; i < node->nroutes; i++)
        free(node->routes[i]);
}

void router_delete(router_t *router) {
    if (!router) return;
    free_node(&router->root);
    free(router);
}

static node_t *new_node(span_t segment) {
    node_t *node = calloc(1, sizeof(node_t) + segment.len);
    if (!node) return NULL;
    if (segment.len) memcpy(node + 1, segment.ptr, segment.len);
    node->segment = (span_t){(char *)(node + 1), segment.len};
    return node;
}

static node_t *fixed_child(const node_t *node, span_t segment) {
    node_t *child = node->children;
    while (child && !span_eq(child->segment, segment))
        child = child->next;
    return child;
}

static node_t *grow(node_t *node, span_t segment) {
    if (segment.len && segment.ptr[0] == ':') {
        if (!node->param) node->param = new_node((span_t){"", 0});
        return node->param;
    }
    node_t *child = fixed_child(node, segment);
    if (child) return child;
    child = new_node(segment);
    if (!child) return NULL;
    child->next = node->children;
    node->children = child;
    return child;
}

static int refuse(char *why, size_t size, int err, const char *sentence, span_t spec) {
    snprintf(why, size, "\"%.*s\": %s", (int)(spec.len < 120 ? spec.len : 120), spec.ptr, sentence);
    return err;
}

static bool known_method(span_t method) {
    static const char *const METHODS[] = {
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"};
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(*METHODS); i++)
        if (span_eq(method, span_of(METHODS[i]))) return true;
    return false;
}

/* NULL when the pattern is well-formed, else what is wrong with it. */
static const char *pattern_fault(span_t pattern) {
    if (!pattern.len || pattern.ptr[0] != '/') return "the path must start with /";
    span_t rest = {pattern.ptr + 1, pattern.len - 1};
    int segments = 0, params = 0;
    while (rest.len) {
        span_t segment = span_cut(&rest, '/');
        bool last = segment.ptr + segment.len == pattern.ptr + pattern.len;
        if (!segment.len || (!last && !rest.len)) return "the path has an empty segment";
        if (span_eq(segment, SPAN(".")) || span_eq(segment, SPAN("..")))
            return "the path has a dot segment, which no request can reach";
        if (segment.ptr[0] == ':' && segment.len == 1) return "a parameter needs a name";
        if (segment.ptr[0] == ':' && ++params > ROUTE_PARAMS_MAX) return "at most 8 parameters";
        if (++segments > SEGMENTS_MAX) return "at most 32 segments";
    }
    return span_is_utf8(pattern) ? NULL : "the path is not UTF-8";
}

static route_t *new_route(span_t method, span_t pattern, int index) {
    route_t *route = malloc(sizeof(route_t) + method.len + pattern.len);
    if (!route) return NULL;
    char *text = (char *)(route + 1);
    memcpy(text, method.ptr, method.len);
    memcpy(text + method.len, pattern.ptr, pattern.len);
    route->method = (span_t){text, method.len};
    route->pattern = (span_t){text + method.len, pattern.len};
    route->index = index;
    return route;
}

static route_t *route_of(const node_t *node, span_t method) {
    for (int i = 0; i < node->nroutes; i++)
        if (span_eq(node->routes[i]->method, method)) return node->routes[i];
    return NULL;
}

int router_add(router_t *router, span_t spec, int index, char *why, size_t size) {
    span_t pattern = spec;
    span_t method = span_cut(&pattern, ' ');
    if (!known_method(method))
        return refuse(
            why, size, ERR_INVALID, "a route is a method and a path: \"GET /path\"", spec);
    const char *fault = pattern_fault(pattern);
    if (fault) return refuse(why, size, ERR_INVALID, fault, spec);
    node_t *node = &router->root;
    for (span_t rest = {pattern.ptr + 1, pattern.len - 1}; node && rest.len;)
        node = grow(node, span_cut(&rest, '/'));
    if (!node) return refuse(why, size, ERR_NO_MEMORY, "out of memory", spec);
    if (route_of(node, method))
        return refuse(why, size, ERR_CONFLICT, "the route is there already", spec);
    route_t *route = new_route(method, pattern, index);
    if (!route) return refuse(why, size, ERR_NO_MEMORY, "out of memory", spec);
    node->routes[node->nroutes++] = route;
    return 0;
}

static bool escapes_ok(span_t raw) {
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] != '%') continue;
        if (i + 2 >= raw.len || hex_value(raw.ptr[i + 1]) < 0 || hex_value(raw.ptr[i + 2]) < 0)
            return false;
        i += 2;
    }
    return true;
}

/* Decodes one segment into the arena, or leaves it where it is when it has no escape. */
static int decode(span_t raw, arena_t *arena, span_t *out) {
    *out = raw;
    if (raw.len && memchr(raw.ptr, '%', raw.len)) {
        if (!escapes_ok(raw)) return ERR_INVALID;
        char *text = arena_alloc(arena, raw.len);
        if (!text) return ERR_NO_MEMORY;
        *out = (span_t){text, span_unescape(raw, text)};
    }
    if (out->len && memchr(out->ptr, 0, out->len)) return ERR_INVALID;
    return span_is_utf8(*out) ? 0 : ERR_INVALID;
}

/* Cuts and decodes the path. A path deeper than any pattern counts one segment too many, so that it matches
   nothing. */
static int split(span_t path, arena_t *arena, walk_t *walk) {
    const char *at = path.ptr + 1, *end = path.ptr + path.len;
    walk->nsegments = 0;
    while (at < end || (at == end && path.len > 1)) {
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        const char *stop = slash ? slash : end;
        span_t segment;
        int err = decode((span_t){at, (size_t)(stop - at)}, arena, &segment);
        if (err) return err;
        if (walk->nsegments < SEGMENTS_MAX) walk->segments[walk->nsegments] = segment;
        walk->nsegments++;
        if (!slash) break;
        at = slash + 1;
    }
    return 0;
}

/* Adds a method to Allow once; the list is short. */
static void allow(route_match_t *match, const char *method, size_t len) {
    size_t used = strlen(match->allow);
    const char *found = strstr(match->allow, method);
    for (; found; found = strstr(found + 1, method)) {
        bool starts = found == match->allow || found[-1] == ' ';
        if (starts && (found[len] == ',' || !found[len])) return;
    }
    snprintf(match->allow + used, sizeof(match->allow) - used, "%s%.*s", used ? ", " : "", (int)len,
        method);
}

static void note_methods(const node_t *node, route_match_t *match) {
    for (int i = 0; i < node->nroutes; i++) {
        char method[8] = "";
        memcpy(method, node->routes[i]->method.ptr, node->routes[i]->method.len);
        allow(match, method, node->routes[i]->method.len);
        if (span_eq(node->routes[i]->method, SPAN("GET"))) allow(match, "HEAD", 4);
        match->path_known = true;
    }
}

static const route_t *route_here(const node_t *node, walk_t *walk) {
    const route_t *route = route_of(node, walk->method);
    if (!route && span_eq(walk->method, SPAN("HEAD"))) route = route_of(node, SPAN("GET"));
    if (!route) note_methods(node, walk->match);
    return route;
}

/* An empty or a dot segment, plain or encoded, is no value: behind a parameter may stand a file or a key. */
static bool is_value(span_t segment) {
    return segment.len && !span_eq(segment, SPAN(".")) && !span_eq(segment, SPAN(".."));
}

/* Depth first, fixed before parameter; goes back when the rest does not match. A path that a fixed segment leads to is
   that resource, whatever methods it has: /products/search is no product. Each node is visited at most once. */
static const route_t *descend(const node_t *node, walk_t *walk, int depth) {
    if (depth == walk->nsegments) return route_here(node, walk);
    span_t segment = walk->segments[depth];
    const node_t *fixed = fixed_child(node, segment);
    const route_t *route = fixed ? descend(fixed, walk, depth + 1) : NULL;
    if (route || walk->match->path_known || !node->param || !is_value(segment)) return route;
    return descend(node->param, walk, depth + 1);
}

static void take_params(walk_t *walk, const route_t *route) {
    route_match_t *match = walk->match;
    span_t rest = {route->pattern.ptr + 1, route->pattern.len - 1};
    for (int i = 0; i < walk->nsegments; i++) {
        span_t name = span_cut(&rest, '/');
        if (!name.len || name.ptr[0] != ':') continue;
        match->names[match->nparams] = (span_t){name.ptr + 1, name.len - 1};
        match->values[match->nparams++] = walk->segments[i];
    }
}

int router_match(
    const router_t *router, span_t method, span_t path, arena_t *arena, route_match_t *out) {
    out->route = NULL;
    out->nparams = 0;
    out->path_known = false;
    out->allow[0] = 0;
    if (!path.len || path.ptr[0] != '/') return ERR_INVALID;
    walk_t walk = {.method = method, .match = out};
    int err = split(path, arena, &walk);
    if (err || walk.nsegments > SEGMENTS_MAX) return err;
    out->route = descend(&router->root, &walk, 0);
    if (out->route)
        take_params(&walk, out->route);
    else if (out->path_known)
        allow(out, "OPTIONS", 7);
    return 0;
}
