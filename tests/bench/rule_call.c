/* rule_call.c: what one priced answer by one rule costs, in processor time: the cart as tables, the call under its
   budget, the result read back, the engine's arithmetic and its proof. */
#include "base/err.h"
#include "tenant/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 7
#define ROUND_NS 200000000.0
#define LINES_MAX 50

typedef struct bench {
    rules_t *rules;
    settings_t *settings;
    price_line_t lines[LINES_MAX];
    price_input_t input;
    arena_t arena;
} bench_t;

typedef struct subject {
    const char *name;
    const char *text; /* NULL: no rule at all, the engine alone */
} subject_t;

static const subject_t SUBJECTS[] = {
    {"no rule", NULL},
    {"numbers", "return function(cart)\n"
                "  local sum = 0\n"
                "  for i = 1, #cart.items do\n"
                "    local line = cart.items[i]\n"
                "    sum = sum + line.price * line.quantity\n"
                "  end\n"
                "  if sum < 10000 then return {} end\n"
                "  return { { order = true, percent = 5, reason = 'large order' } }\n"
                "end\n"},
    {"ten or more", "return function(cart, ctx)\n"
                    "  local out = {}\n"
                    "  for i, line in ipairs(cart.items) do\n"
                    "    if line.quantity >= 10 then\n"
                    "      out[#out + 1] = { line = i, percent = 10, reason = 'ten or more' }\n"
                    "    end\n"
                    "  end\n"
                    "  if ctx.customer.group == 'wholesale' then\n"
                    "    out[#out + 1] = { order = true, percent = '15', reason = 'wholesale' }\n"
                    "  end\n"
                    "  return out\n"
                    "end\n"},
    {"attributes", "return function(cart)\n"
                   "  local out = {}\n"
                   "  for i, line in ipairs(cart.items) do\n"
                   "    if line.attributes.color == 'red' and line.category[1] == 'Tents' then\n"
                   "      out[#out + 1] = { line = i, percent = 10, reason = 'red tents' }\n"
                   "    end\n"
                   "  end\n"
                   "  return out\n"
                   "end\n"},
};

static void die(const char *what) {
    fprintf(stderr, "rule_call: %s\n", what);
    exit(1);
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static const value_t *parse(arena_t *arena, const char *text) {
    static const value_limits_t LIMITS = {.depth = 4, .nodes = 100, .bytes = 4096};
    char why[120];
    value_t *value = arena_zalloc(arena, sizeof *value);
    if (!value || value_parse(span_of(text), arena, &LIMITS, false, value, why, sizeof why) != 0)
        die("out of memory");
    return value;
}

/* Every twelfth line has ten of a kind or more. */
static void fill_lines(bench_t *bench, arena_t *arena) {
    const value_t *category = parse(arena, "[\"Tents\",\"Outdoor\"]");
    const value_t *attributes =
        parse(arena, "{\"color\":\"black\",\"size\":\"M\",\"brand\":\"Tarn\"}");
    for (int i = 0; i < LINES_MAX; i++)
        bench->lines[i] = (price_line_t){.product_id = SPAN("01936b5c-7a00-7000-8000-000000000001"),
            .sku = SPAN("TENT-2P-BLACK"),
            .name = SPAN("Tent for two"),
            .price = 1999 + i,
            .quantity = 1 + (i * 5) % 12,
            .weight_grams = 1200,
            .category = category,
            .attributes = attributes};
    bench->input = (price_input_t){
        .lines = bench->lines, .channel = SPAN("web"), .now_ms = 1700000000000, .seed = 7};
}

static void open_rules(bench_t *bench, loop_t *loop, const subject_t *subject) {
    edition_t *edition;
    sandbox_limits_t limits;
    sandbox_fault_t fault;
    char why[200];
    sandbox_limits_default(&limits);
    if (edition_of_file(RULE_PRICING, span_of(subject->text ? subject->text : ""), &edition) != 0)
        die("out of memory");
    edition->own[RULE_PRICING] = subject->text != NULL;
    bench->settings = edition_settings(edition, why, sizeof why);
    if (!bench->settings) die(why);
    if (rules_open(edition, loop, &limits, NULL, NULL, &bench->rules, &fault) != 0) die(fault.text);
    edition_unref(edition);
}

static void price(bench_t *bench) {
    quote_t quote;
    sandbox_fault_t fault;
    arena_create(&bench->arena);
    if (price_quote(bench->rules, bench->settings, &bench->input, &bench->arena, &quote, &fault) !=
        0)
        die(fault.text);
    arena_destroy(&bench->arena);
}

/* Nanoseconds per answer in one round of so many. */
static double measure(bench_t *bench, int count) {
    double start = cpu_ns();
    for (int i = 0; i < count; i++)
        price(bench);
    return (cpu_ns() - start) / count;
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(bench_t *bench, const subject_t *subject, int lines) {
    double rounds[ROUNDS];
    bench->input.nlines = (size_t)lines;
    int count = (int)(ROUND_NS / measure(bench, 2000)) + 1;
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = measure(bench, count);
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    printf("%-12s %3d lines %7.2f us (%.2f to %.2f)\n", subject->name, lines,
        rounds[ROUNDS / 2] / 1000, rounds[0] / 1000, rounds[ROUNDS - 1] / 1000);
}

static void run(const subject_t *subject) {
    bench_t bench;
    arena_t arena;
    loop_t *loop = loop_new();
    if (!loop) die("out of memory");
    arena_create(&arena);
    fill_lines(&bench, &arena);
    open_rules(&bench, loop, subject);
    size_t fresh = sandbox_vm(rules_sandbox(bench.rules))->used;
    report(&bench, subject, 5);
    report(&bench, subject, LINES_MAX);
    printf("%-12s its VM holds %.0f KB when opened, %.0f KB after the runs\n", subject->name,
        (double)fresh / 1024, (double)sandbox_vm(rules_sandbox(bench.rules))->used / 1024);
    rules_close(bench.rules);
    settings_unref(bench.settings);
    arena_destroy(&arena);
    loop_delete(loop);
}

/* An argument names the one rule to measure. */
int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof SUBJECTS / sizeof *SUBJECTS; i++)
        if (argc < 2 || strcmp(argv[1], SUBJECTS[i].name) == 0) run(&SUBJECTS[i]);
    return 0;
}
