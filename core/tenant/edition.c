/* edition.c: reads a tenant's folder over the defaults, hashes it, and writes and parses it as one JSON text. */
#include "tenant/edition.h"
#include "base/err.h"
#include "base/file.h"
#include "base/ident.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <yyjson.h>

#define FILE_MAX (64 * 1024)
#define SAMPLE_MAX (256 * 1024)
#define SAMPLES_MAX 64
#define DEFAULTS "_default"

static const char *const NAMES[RULE_KINDS] = {"pricing", "shipping", "tax", "checkout", "routes"};
static const char *const FILES[RULE_KINDS] = {
    "pricing.lua", "shipping.lua", "tax.lua", "checkout.lua", "routes.lua"};

const char *rule_kind_name(rule_kind_t kind) {
    return NAMES[kind];
}
const char *rule_kind_file(rule_kind_t kind) {
    return FILES[kind];
}

typedef struct reader {
    edition_t *edition;
    const char *root;
    char *why;
    size_t size;
} reader_t;

static int fail(reader_t *reader, int err, const char *file, const char *sentence) {
    snprintf(reader->why, reader->size, "%s: %s", file, sentence);
    return err;
}

static edition_t *new_edition(void) {
    edition_t *edition = calloc(1, sizeof(edition_t));
    if (!edition) return NULL;
    edition->refs = 1;
    arena_create(&edition->arena);
    for (int kind = 0; kind < RULE_KINDS; kind++)
        edition->text[kind] = SPAN("");
    edition->document = SPAN("");
    return edition;
}

edition_t *edition_ref(edition_t *edition) {
    edition->refs++;
    return edition;
}

void edition_unref(edition_t *edition) {
    if (!edition || --edition->refs > 0) return;
    arena_destroy(&edition->arena);
    free(edition);
}

static int read_text(reader_t *reader, const char *path, size_t max, buf_t *text, span_t *out) {
    int err = file_read(path, max, text, reader->why, reader->size);
    if (err) return err;
    if (!span_is_utf8(buf_view(text))) return fail(reader, ERR_INVALID, path, "is not UTF-8 text");
    *out = (span_t){arena_dup(&reader->edition->arena, text->ptr, text->len), text->len};
    return out->ptr ? 0 : fail(reader, ERR_NO_MEMORY, path, "out of memory");
}

/* ERR_NOT_FOUND when there is no such file. */
static int read_file(
    reader_t *reader, const char *folder, const char *name, size_t max, span_t *out) {
    char path[1024];
    int len = snprintf(path, sizeof(path), "%s/%s/%s", reader->root, folder, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return fail(reader, ERR_TOO_LARGE, name, "has too long a path");
    buf_t text;
    buf_create(&text);
    int err = read_text(reader, path, max, &text, out);
    buf_destroy(&text);
    return err;
}

static int read_rules(reader_t *reader, const char *slug) {
    edition_t *edition = reader->edition;
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        int err = read_file(reader, slug, FILES[kind], FILE_MAX, &edition->text[kind]);
        edition->own[kind] = err == 0 && strcmp(slug, DEFAULTS) != 0;
        if (err == ERR_NOT_FOUND)
            err = read_file(reader, DEFAULTS, FILES[kind], FILE_MAX, &edition->text[kind]);
        if (err && err != ERR_NOT_FOUND) return err;
    }
    return 0;
}

static int is_sample(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int take_samples(reader_t *reader, const char *folder, struct dirent **names, int count) {
    edition_t *edition = reader->edition;
    edition->samples = arena_zalloc(&edition->arena, (size_t)(count + 1) * sizeof(span_t));
    edition->sample_names = arena_zalloc(&edition->arena, (size_t)(count + 1) * sizeof(span_t));
    if (!edition->samples || !edition->sample_names)
        return fail(reader, ERR_NO_MEMORY, folder, "out of memory");
    for (int i = 0; i < count; i++) {
        char name[320];
        snprintf(name, sizeof(name), "samples/%s", names[i]->d_name);
        int err = read_file(reader, folder, name, SAMPLE_MAX, &edition->samples[i]);
        if (err == ERR_NOT_FOUND) return fail(reader, err, name, "vanished while it was read");
        if (err) return err;
        char *copy = arena_dup(&edition->arena, name, strlen(name));
        if (!copy) return fail(reader, ERR_NO_MEMORY, name, "out of memory");
        edition->sample_names[i] = span_of(copy);
        edition->nsamples++;
    }
    return 0;
}

static int read_samples(reader_t *reader, const char *folder) {
    char path[1024];
    struct dirent **names = NULL;
    snprintf(path, sizeof(path), "%s/%s/samples", reader->root, folder);
    int count = scandir(path, &names, is_sample, alphasort);
    if (count < 0) return errno == ENOENT ? 0 : fail(reader, -errno, path, strerror(errno));
    int err = count > SAMPLES_MAX ? fail(reader, ERR_TOO_LARGE, path, "has more than 64 samples")
                                  : take_samples(reader, folder, names, count);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return err;
}

bool edition_is_slug(const char *name) {
    if (strcmp(name, DEFAULTS) == 0) return true;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= 63 && !name[len] && name[0] != '-';
}

static void add_hash(ident_hash_t *hash, const char *name, span_t text) {
    char size[24];
    ident_hash_add(hash, span_of(name));
    snprintf(size, sizeof(size), ":%zu:", text.len);
    ident_hash_add(hash, span_of(size));
    ident_hash_add(hash, text);
}

static void hash_edition(const edition_t *edition, char out[65]) {
    ident_hash_t hash;
    ident_hash_start(&hash);
    for (int kind = 0; kind < RULE_KINDS; kind++)
        add_hash(&hash, FILES[kind], edition->text[kind]);
    ident_hash_end(&hash, out);
}

static int read_folder(reader_t *reader, const char *slug) {
    edition_t *edition = reader->edition;
    char *name = arena_dup(&edition->arena, slug, strlen(slug));
    if (!name) return fail(reader, ERR_NO_MEMORY, slug, "out of memory");
    edition->slug = span_of(name);
    int err = read_rules(reader, slug);
    if (!err) err = read_file(reader, slug, "tenant.json", FILE_MAX, &edition->document);
    if (err == ERR_NOT_FOUND) err = 0;
    if (!err) err = read_samples(reader, slug);
    if (!err && !edition->nsamples) err = read_samples(reader, DEFAULTS);
    if (!err) hash_edition(edition, edition->hash);
    return err;
}

static int check_folder(reader_t *reader, const char *slug) {
    char path[1024];
    struct stat about;
    if (!edition_is_slug(slug))
        return fail(reader, ERR_NOT_FOUND, slug, "is not a tenant's name (a-z, 0-9 and -)");
    snprintf(path, sizeof(path), "%s/%s", reader->root, slug);
    if (stat(path, &about) || !S_ISDIR(about.st_mode))
        return fail(reader, ERR_NOT_FOUND, path, "there is no such folder");
    return 0;
}

int edition_read(
    const char *tenants_dir, const char *slug, edition_t **out, char *why, size_t size) {
    reader_t reader = {new_edition(), tenants_dir, why, size};
    if (!reader.edition) return fail(&reader, ERR_NO_MEMORY, slug, "out of memory");
    int err = check_folder(&reader, slug);
    if (!err) err = read_folder(&reader, slug);
    if (err) {
        edition_unref(reader.edition);
        return err;
    }
    *out = reader.edition;
    return 0;
}

int edition_of_file(rule_kind_t kind, span_t text, edition_t **out) {
    edition_t *edition = new_edition();
    char *copy = edition ? arena_dup(&edition->arena, text.ptr, text.len) : NULL;
    if (!copy) {
        edition_unref(edition);
        return ERR_NO_MEMORY;
    }
    edition->slug = SPAN("trial");
    edition->text[kind] = (span_t){copy, text.len};
    edition->own[kind] = true;
    hash_edition(edition, edition->hash);
    *out = edition;
    return 0;
}

static void write_files(const edition_t *edition, buf_t *out) {
    buf_text(out, ",\"files\":{");
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        buf_printf(out, "%s\"%s\":", kind ? "," : "", FILES[kind]);
        buf_json(out, edition->text[kind]);
    }
    buf_text(out, "},\"own\":{");
    for (int kind = 0; kind < RULE_KINDS; kind++)
        buf_printf(out, "%s\"%s\":%s", kind ? "," : "", FILES[kind],
            edition->own[kind] ? "true" : "false");
    buf_char(out, '}');
}

void edition_write(const edition_t *edition, buf_t *out) {
    buf_printf(out, "{\"hash\":\"%s\",\"slug\":", edition->hash);
    buf_json(out, edition->slug);
    write_files(edition, out);
    buf_text(out, ",\"document\":");
    buf_json(out, edition->document);
    buf_text(out, ",\"samples\":[");
    for (size_t i = 0; i < edition->nsamples; i++) {
        buf_text(out, i ? ",{\"name\":" : "{\"name\":");
        buf_json(out, edition->sample_names[i]);
        buf_text(out, ",\"text\":");
        buf_json(out, edition->samples[i]);
        buf_char(out, '}');
    }
    buf_text(out, "]}\n");
}

static int parse_text(reader_t *reader, yyjson_val *object, const char *name, span_t *out) {
    yyjson_val *value = yyjson_obj_get(object, name);
    if (!yyjson_is_str(value))
        return fail(reader, ERR_INVALID, name, "is missing from the edition");
    size_t len = yyjson_get_len(value);
    char *text = arena_dup(&reader->edition->arena, yyjson_get_str(value), len);
    *out = (span_t){text, len};
    return text ? 0 : fail(reader, ERR_NO_MEMORY, name, "out of memory");
}

static int parse_samples(reader_t *reader, yyjson_val *list) {
    edition_t *edition = reader->edition;
    size_t count = yyjson_arr_size(list), at, max;
    edition->samples = arena_zalloc(&edition->arena, (count + 1) * sizeof(span_t));
    edition->sample_names = arena_zalloc(&edition->arena, (count + 1) * sizeof(span_t));
    if (!edition->samples || !edition->sample_names)
        return fail(reader, ERR_NO_MEMORY, "samples", "out of memory");
    yyjson_val *sample;
    yyjson_arr_foreach(list, at, max, sample) {
        int err = parse_text(reader, sample, "name", &edition->sample_names[at]);
        if (!err) err = parse_text(reader, sample, "text", &edition->samples[at]);
        if (err) return err;
        edition->nsamples++;
    }
    return 0;
}

static int parse_all(reader_t *reader, yyjson_val *root) {
    edition_t *edition = reader->edition;
    yyjson_val *files = yyjson_obj_get(root, "files"), *own = yyjson_obj_get(root, "own");
    int err = parse_text(reader, root, "slug", &edition->slug);
    if (!err) err = parse_text(reader, root, "document", &edition->document);
    for (int kind = 0; kind < RULE_KINDS && !err; kind++) {
        err = parse_text(reader, files, FILES[kind], &edition->text[kind]);
        edition->own[kind] = yyjson_get_bool(yyjson_obj_get(own, FILES[kind]));
    }
    if (!err) err = parse_samples(reader, yyjson_obj_get(root, "samples"));
    if (err) return err;
    hash_edition(edition, edition->hash);
    const char *hash = yyjson_get_str(yyjson_obj_get(root, "hash"));
    bool same = hash && strcmp(hash, edition->hash) == 0;
    return same ? 0 : fail(reader, ERR_INVALID, "edition", "its hash is not that of its files");
}

int edition_parse(span_t text, edition_t **out, char *why, size_t size) {
    reader_t reader = {new_edition(), NULL, why, size};
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);
    int err = ERR_INVALID;
    if (!reader.edition)
        err = fail(&reader, ERR_NO_MEMORY, "edition", "out of memory");
    else if (!doc)
        fail(&reader, ERR_INVALID, "edition", "is not JSON");
    else
        err = parse_all(&reader, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    if (err)
        edition_unref(reader.edition);
    else
        *out = reader.edition;
    return err;
}
