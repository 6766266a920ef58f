/* check_tenant.c: what tenant.json says of the shop: fields that can be stored, the folder's own slug, and nothing that
   another shop of the same folder has. */
#include "base/err.h"
#include "base/file.h"
#include "tenant/check_own.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>

#define DOCUMENT_MAX (64 * 1024)
#define SLUG_MAX 63

static const value_limits_t LIMITS = {.depth = 16, .nodes = 10000, .bytes = 256 * 1024};

typedef struct member {
    const char *name;
    size_t most; /* characters; 0: an object */
    bool (*fits)(span_t text);
    const char *says; /* when it does not */
    bool required;
} member_t;

static bool only(span_t text, const char *others) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (!islower(byte) && !isdigit(byte) && (!byte || !strchr(others, byte))) return false;
    }
    return text.len > 0;
}

static bool is_label(span_t text) {
    return only(text, "-") && text.ptr[0] != '-';
}
static bool is_host(span_t text) {
    return only(text, "-.");
}

/* The groups of hexadecimal digits of a UUID. */
static bool is_uuid(span_t text) {
    int groups = 0;
    while (text.len) {
        span_t group = span_cut(&text, '-');
        if (!group.len) return false;
        for (size_t i = 0; i < group.len; i++)
            if (!isxdigit((unsigned char)group.ptr[i])) return false;
        groups++;
    }
    return groups == 5;
}

static bool is_mail(span_t text) {
    span_t name = span_cut(&text, '@');
    return name.len && text.len && !memchr(text.ptr, '@', text.len);
}

static bool is_colour(span_t text) {
    if (text.len != 7 || text.ptr[0] != '#') return false;
    for (size_t i = 1; i < text.len; i++)
        if (!isxdigit((unsigned char)text.ptr[i])) return false;
    return true;
}

static bool is_name(span_t text) {
    return text.len > 0;
}

static const char COLOUR[] = "must be a colour such as #1E40AF";
static const member_t BRANDING[] = {
    {"logoUrl", 2000, NULL, NULL, false},
    {"primaryColor", 7, is_colour, COLOUR, false},
    {"secondaryColor", 7, is_colour, COLOUR, false},
    {"accentColor", 7, is_colour, COLOUR, false},
    {"fontFamily", 100, NULL, NULL, false},
    {NULL, 0, NULL, NULL, false},
};
static const member_t MEMBERS[] = {
    {"id", 36, is_uuid, "must be a UUID", false},
    {"slug", SLUG_MAX, is_label, "must be lower-case letters, digits and hyphens", true},
    {"subdomain", SLUG_MAX, is_label, "must be a host name's label", false},
    {"customDomain", 253, is_host, "must be a lower-case host name", false},
    {"name", 200, is_name, "must not be empty", true},
    {"description", 2000, NULL, NULL, false},
    {"contactEmail", 254, is_mail, "must be an e-mail address", false},
    {"phone", 40, NULL, NULL, false},
    {"branding", 0, NULL, NULL, false},
    {"settings", 0, NULL, NULL, true},
    {NULL, 0, NULL, NULL, false},
};

static place_t place_of(const check_report_t *report) {
    place_t place = {.kind = "tenant"};
    span_t slug = report->edition->slug;
    snprintf(place.file, sizeof(place.file), "%.*s/tenant.json", (int)slug.len, slug.ptr);
    return place;
}

static size_t characters(span_t text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

/* Into why; false when the value can be stored. An empty list is what JSON's {} looks like. */
static bool is_wrong(const member_t *member, const value_t *value, char *why, size_t size) {
    const char *says = NULL;
    if (!value || value->kind == VALUE_NIL) {
        if (member->required) says = "is required";
    } else if (!member->most) {
        bool object =
            value->kind == VALUE_TABLE || (value->kind == VALUE_LIST && value->list.count == 0);
        if (!object) says = "must be an object";
    } else if (value->kind != VALUE_STRING) {
        says = "must be a text";
    } else if (characters(value->string) > member->most) {
        snprintf(why, size, "must have at most %zu characters", member->most);
        return true;
    } else if (member->fits && !member->fits(value->string)) {
        int len = (int)(value->string.len < 60 ? value->string.len : 60);
        snprintf(why, size, "\"%.*s\" %s", len, value->string.ptr, member->says);
        return true;
    }
    if (says) snprintf(why, size, "%s", says);
    return says != NULL;
}

static void check_members(
    check_report_t *report, const value_t *table, const char *prefix, const member_t *members) {
    place_t place = place_of(report);
    char why[160];
    for (const member_t *member = members; member->name; member++)
        if (is_wrong(member, value_field(table, member->name), why, sizeof(why)))
            check_find(report, &place, false, ERR_INVALID, "%s%s: %s", prefix, member->name, why);
    for (size_t i = 0; table->kind == VALUE_TABLE && i < table->table.count; i++) {
        span_t key = table->table.pairs[i].key;
        const member_t *member = members;
        while (member->name && !span_eq(key, span_of(member->name)))
            member++;
        int len = (int)(key.len < 60 ? key.len : 60);
        if (!member->name)
            check_find(report, &place, false, ERR_INVALID, "%s%.*s: is not a field of tenant.json",
                prefix, len, key.ptr);
    }
}

static span_t text_of(const value_t *document, const char *name) {
    const value_t *value = value_field(document, name);
    return value && value->kind == VALUE_STRING ? value->string : SPAN("");
}

/* Without a subdomain the slug is one. */
static span_t unique_text(const value_t *document, const char *name) {
    span_t text = text_of(document, name);
    return text.len || strcmp(name, "subdomain") != 0 ? text : text_of(document, "slug");
}

static void compare_with(check_report_t *report, const value_t *own, const value_t *other) {
    static const char *const UNIQUE[] = {"id", "subdomain", "customDomain"};
    span_t slug = text_of(other, "slug");
    place_t place = place_of(report);
    for (size_t i = 0; i < sizeof(UNIQUE) / sizeof(*UNIQUE); i++) {
        span_t text = unique_text(own, UNIQUE[i]);
        if (!text.len || !span_eq(text, unique_text(other, UNIQUE[i]))) continue;
        check_find(report, &place, false, ERR_CONFLICT, "%s: \"%.*s\" is the tenant %.*s's already",
            UNIQUE[i], (int)(text.len < 120 ? text.len : 120), text.ptr, (int)slug.len, slug.ptr);
    }
}

/* A neighbour that is refused for its own slug, as a copied folder is, takes nothing from anybody. */
static void meet(check_report_t *report, const value_t *own, const char *folder, span_t text) {
    arena_t arena;
    value_t other;
    char why[160];
    arena_create(&arena);
    if (value_parse(text, &arena, &LIMITS, true, &other, why, sizeof(why)) == 0 &&
        span_eq(text_of(&other, "slug"), span_of(folder)))
        compare_with(report, own, &other);
    arena_destroy(&arena);
}

static void check_neighbours(check_report_t *report, const value_t *own) {
    DIR *folder = report->tenants ? opendir(report->tenants) : NULL;
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[1024], why[1200];
        buf_t text;
        if (!edition_is_slug(entry->d_name)) continue;
        if (span_eq(report->edition->slug, span_of(entry->d_name))) continue;
        snprintf(path, sizeof(path), "%s/%s/tenant.json", report->tenants, entry->d_name);
        buf_create(&text);
        if (file_read(path, DOCUMENT_MAX, &text, why, sizeof(why)) == 0)
            meet(report, own, entry->d_name, buf_view(&text));
        buf_destroy(&text);
    }
    closedir(folder);
}

static void check_document(check_report_t *report, const value_t *own) {
    span_t folder = report->edition->slug, slug = text_of(own, "slug");
    place_t place = place_of(report);
    const value_t *branding = value_field(own, "branding");
    check_members(report, own, "", MEMBERS);
    if (branding && branding->kind == VALUE_TABLE)
        check_members(report, branding, "branding.", BRANDING);
    if (slug.len && !span_eq(slug, folder))
        check_find(report, &place, false, ERR_INVALID,
            "slug: \"%.*s\" is not the folder's name, \"%.*s\"",
            (int)(slug.len < 80 ? slug.len : 80), slug.ptr, (int)folder.len, folder.ptr);
    check_neighbours(report, own);
}

void check_tenant(check_report_t *report) {
    char why[160];
    arena_t arena;
    value_t own;
    if (!report->edition->document.len) return;
    arena_create(&arena);
    int err = value_parse(report->edition->document, &arena, &LIMITS, true, &own, why, sizeof(why));
    if (!err && own.kind == VALUE_TABLE) check_document(report, &own);
    arena_destroy(&arena);
}
