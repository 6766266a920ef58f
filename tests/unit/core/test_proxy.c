/* test_proxy.c: whose word about the client counts. */
#include "core/head.h"
#include "base/err.h"
#include "proxy.h"

#define TRUSTED "127.0.0.1, 10.0.0.0/8, ::1, 2001:db8::/32"

static head_t head;

static void expect(const char *address, const char *scheme) {
    span_t found_address, found_scheme;
    proxy_client(SPAN(TRUSTED), &head.exchange, &found_address, &found_scheme);
    head_equal(found_address, address);
    head_equal(found_scheme, scheme);
    head_destroy(&head);
}

static void networks_hold_addresses(void **state) {
    static const struct {
        const char *networks, *address;
        bool in;
    } CASES[] = {
        {TRUSTED, "127.0.0.1", true},
        {TRUSTED, "127.0.0.2", false},
        {TRUSTED, "10.255.0.1", true},
        {TRUSTED, "11.0.0.1", false},
        {TRUSTED, "::1", true},
        {TRUSTED, "2001:db8:7::1", true},
        {TRUSTED, "2001:db9::1", false},
        {TRUSTED, "::ffff:10.0.0.1", true},
        {TRUSTED, "localhost", false},
        {TRUSTED, "", false},
        {"", "127.0.0.1", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.255", true},
        {"::/0", "192.0.2.1", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (proxy_trusts(span_of(CASES[i].networks), span_of(CASES[i].address)) != CASES[i].in)
            fail_msg("%s in %s", CASES[i].address, CASES[i].networks);
}

static void networks_that_do_not_parse_are_named(void **state) {
    static const char *const BAD[] = {
        "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "host", "10.0.0"};
    span_t bad;
    (void)state;
    assert_int_equal(proxy_check(SPAN(TRUSTED), &bad), 0);
    assert_int_equal(proxy_check(SPAN(""), &bad), 0);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char list[100];
        snprintf(list, sizeof list, "::1, %s, 127.0.0.1", BAD[i]);
        assert_int_equal(proxy_check(span_of(list), &bad), ERR_INVALID);
        head_equal(bad, BAD[i]);
    }
}

static void a_stranger_is_not_believed(void **state) {
    (void)state;
    head_create(
        &head, "203.0.113.9", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https", NULL);
    expect("203.0.113.9", "http");
    head_create(&head, "203.0.113.9", "Forwarded", "for=192.0.2.1;proto=https", NULL);
    expect("203.0.113.9", "http");
}

static void the_first_address_that_nobody_vouches_for_counts(void **state) {
    (void)state;
    head_create(&head, "127.0.0.1", "X-Forwarded-For", "192.0.2.66, 192.0.2.1, 10.0.0.7", NULL);
    expect("192.0.2.1", "http");
    head_create(&head, "127.0.0.1", "X-Forwarded-For", "10.0.0.1, 10.0.0.7", NULL);
    expect("10.0.0.1", "http");
    head_create(&head, "127.0.0.1", "X-Forwarded-For", "192.0.2.1, unknown, 10.0.0.7", NULL);
    expect("10.0.0.7", "http");
    head_create(&head, "127.0.0.1", "X-Forwarded-For", "", NULL);
    expect("127.0.0.1", "http");
    head_create(&head, "127.0.0.1", NULL);
    expect("127.0.0.1", "http");
}

/* What a client sends stands left of, or in a line above, what the proxy adds. */
static void lines_of_one_header_are_one_list(void **state) {
    (void)state;
    head_create(&head, "127.0.0.1", "X-Forwarded-For", "192.0.2.66", "X-Forwarded-Proto", "https",
        "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "http", NULL);
    expect("192.0.2.1", "http");
    head_create(&head, "127.0.0.1", "Forwarded", "for=192.0.2.66;proto=https", "Forwarded",
        "for=192.0.2.1;proto=http", NULL);
    expect("192.0.2.1", "http");
}

static void forms_of_addresses_are_understood(void **state) {
    (void)state;
    head_create(
        &head, "::1", "X-Forwarded-For", "192.0.2.1:4711", "x-forwarded-proto", "HTTPS", NULL);
    expect("192.0.2.1", "https");
    head_create(&head, "10.0.0.1", "Forwarded",
        "For=\"[2001:db9::1]:4711\"; Proto=\"https\"; by=10.0.0.1", NULL);
    expect("2001:db9::1", "https");
    head_create(&head, "10.0.0.1", "X-Forwarded-For", "[2001:db9::2]", NULL);
    expect("2001:db9::2", "http");
    head_create(&head, "10.0.0.1", "X-Forwarded-For", "2001:db9::3", NULL);
    expect("2001:db9::3", "http");
    head_create(&head, "10.0.0.1", "Forwarded", "for=_hidden;proto=https", NULL);
    expect("10.0.0.1", "http");
    head_create(&head, "10.0.0.1", "Forwarded", "\"", NULL);
    expect("10.0.0.1", "http");
}

/* The scheme is that of the client's own connection, not of one between proxies. */
static void the_outermost_trusted_hop_tells_the_scheme(void **state) {
    (void)state;
    head_create(&head, "127.0.0.1", "Forwarded",
        "for=192.0.2.1;proto=http, for=10.0.0.7;proto=https", NULL);
    expect("192.0.2.1", "http");
    head_create(&head, "127.0.0.1", "Forwarded", "for=192.0.2.1;proto=https, for=10.0.0.7", NULL);
    expect("192.0.2.1", "https");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(networks_that_do_not_parse_are_named),
        cmocka_unit_test(a_stranger_is_not_believed),
        cmocka_unit_test(the_first_address_that_nobody_vouches_for_counts),
        cmocka_unit_test(lines_of_one_header_are_one_list),
        cmocka_unit_test(forms_of_addresses_are_understood),
        cmocka_unit_test(the_outermost_trusted_hop_tells_the_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
