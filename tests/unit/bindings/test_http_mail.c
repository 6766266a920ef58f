/* test_http_mail.c: the message that a letter becomes, what it refuses, and the forms of the setting mail_url. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "http/mail.h"
#include "http/mail_server.h"

static const char *const ada[] = {"ada@example.com"};

static mail_t plain(void) {
    return (mail_t){.id = "0123-a",
        .from = "shop@platform.example",
        .to = ada,
        .nto = 1,
        .subject = "Hello (1)",
        .text = SPAN("Hi")};
}

static int write_mail(const mail_t *mail, buf_t *out) {
    char why[200] = "";
    buf_create(out);
    int err = mail_write(mail, out, why, sizeof why);
    assert_true(!err == !why[0]);
    buf_char(out, '\0');
    return err;
}

static void assert_has(const mail_t *mail, const char *part) {
    buf_t out;
    assert_int_equal(write_mail(mail, &out), 0);
    if (!strstr(out.ptr, part)) fail_msg("no %s in: %s", part, out.ptr);
    buf_destroy(&out);
}

static void assert_refused(const mail_t *mail) {
    buf_t out;
    assert_int_equal(write_mail(mail, &out), ERR_INVALID);
    assert_int_equal(out.len, 1); /* not even a part of it was written */
    buf_destroy(&out);
}

static void a_plain_letter_stays_readable(void **state) {
    (void)state;
    mail_t mail = plain();
    assert_has(&mail, "Date: ");
    assert_has(&mail, " +0000\r\nFrom: <shop@platform.example>\r\nTo: <ada@example.com>\r\n"
                      "Subject: Hello (1)\r\nMessage-ID: <0123-a@platform.example>\r\n");
    assert_has(&mail, "\r\n\r\nSGkNCg==\r\n");
    mail.name = "Acme & Sons";
    mail.reply_to = "help@acme.example";
    assert_has(&mail, "From: \"Acme & Sons\" <shop@platform.example>\r\n");
    assert_has(&mail, "Reply-To: <help@acme.example>\r\n");
}

static void every_recipient_is_named(void **state) {
    static const char *const both[] = {"ada@example.com", "bob@example.com"};
    (void)state;
    mail_t mail = plain();
    mail.to = both;
    mail.nto = 2;
    assert_has(&mail, "To: <ada@example.com>,\r\n <bob@example.com>\r\n");
}

static void other_letters_are_encoded_in_whole_characters(void **state) {
    (void)state;
    mail_t mail = plain();
    mail.subject = "\xC3\xBC"; /* u with dots */
    assert_has(&mail, "Subject: =?UTF-8?B?w7w=?=\r\n");
    mail.subject = "=?UTF-8?Q?Admin?="; /* would be shown as another text */
    assert_has(&mail, "Subject: =?UTF-8?B?PT9VVEYtOD9RP0FkbWluPz0=?=\r\n");
    mail.name = "\"Boss\" <boss@example.com>";
    assert_has(&mail, "From: =?UTF-8?B?");
    mail.subject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xE2\x82\xAC"
                   "b";
    assert_has(&mail, "YWE=?=\r\n =?UTF-8?B?4oKsYg==?=\r\n");
}

static void line_ends_become_those_of_mail(void **state) {
    (void)state;
    mail_t mail = plain();
    mail.text = SPAN("a\n.\r\nb\n");
    assert_has(&mail, "\r\n\r\nYQ0KLg0KYg0K\r\n"); /* "a\r\n.\r\nb\r\n" */
}

static void long_texts_have_short_lines(void **state) {
    (void)state;
    mail_t mail = plain();
    char *text = malloc(5000);
    memset(text, 'x', 5000);
    mail.text = (span_t){text, 5000};
    buf_t out;
    assert_int_equal(write_mail(&mail, &out), 0);
    for (char *line = strtok(out.ptr, "\r\n"); line; line = strtok(NULL, "\r\n"))
        assert_true(strlen(line) <= 78);
    buf_destroy(&out);
    free(text);
}

static void nothing_smuggles_a_header_or_a_recipient(void **state) {
    static const char *const addresses[] = {"", "ada", "@example.com", "ada@", "ada@a@b",
        "a b@example.com", "ada@example.com\r\nBcc: x@example.com",
        "ada@example.com, x@example.com", "<ada@example.com>", "\"a b\"@example.com",
        "ada@example.com\x01", "ad\xC3\xA4@example.com", "ada@[127.0.0.1]"};
    static const char *const lines[] = {
        "a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\x01", "a\x7F", "\xFF"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        mail_t to = plain(), from = plain(), reply = plain();
        to.to = &addresses[i];
        from.from = reply.reply_to = addresses[i];
        assert_refused(&to);
        assert_refused(&from);
        assert_refused(&reply);
    }
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        mail_t subject = plain(), name = plain(), id = plain();
        subject.subject = name.name = id.id = lines[i];
        assert_refused(&subject);
        assert_refused(&name);
        assert_refused(&id);
    }
}

static void what_is_too_much_is_refused(void **state) {
    (void)state;
    const char *many[MAIL_TO_MAX + 1];
    char subject[400];
    mail_t mail = plain();
    for (size_t i = 0; i <= MAIL_TO_MAX; i++)
        many[i] = ada[0];
    mail.to = many;
    mail.nto = MAIL_TO_MAX + 1;
    assert_refused(&mail);
    mail.nto = 0;
    assert_refused(&mail);
    mail = plain();
    memset(subject, 's', sizeof subject);
    subject[sizeof subject - 1] = '\0';
    mail.subject = subject;
    assert_refused(&mail);
    mail = plain();
    mail.text = SPAN("a\0b");
    assert_refused(&mail);
}

static void a_mail_url_says_how_it_is_kept_secret(void **state) {
    const struct {
        const char *text, *url, *ca;
        bool starttls;
    } cases[] = {{"smtp://localhost", "smtp://localhost", "", false},
        {"smtp://mail.example:2525", "smtp://mail.example:2525", "", false},
        {"smtp+starttls://a%40b:p%3Aw@mail.example:587", "smtp://a%40b:p%3Aw@mail.example:587", "",
            true},
        {"smtps://u:p@mail.example?ca=/etc/my%20ca.pem", "smtps://u:p@mail.example",
            "/etc/my ca.pem", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mail_server_t server;
        char why[200] = "";
        assert_int_equal(mail_server_read(&server, cases[i].text, why, sizeof why), 0);
        assert_string_equal(server.url, cases[i].url);
        assert_string_equal(server.ca, cases[i].ca);
        assert_int_equal(server.starttls, cases[i].starttls);
    }
}

static void wrong_mail_urls_are_named_and_not_shown(void **state) {
    static const char *const cases[] = {"", "mail.example", "http://mail.example", "smtp://",
        "smtp:///x", "smtp://u:hush@mail.example", "smtps://u:hush@mail.example?tls=no",
        "smtps://u:hush@mail.example?ca=", "smtps://u:hush@mail example",
        "smtps://u:hush@mail.example\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mail_server_t server;
        char why[200] = "";
        assert_int_equal(mail_server_read(&server, cases[i], why, sizeof why), ERR_INVALID);
        assert_true(why[0] != '\0');
        assert_null(strstr(why, "hush"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_letter_stays_readable),
        cmocka_unit_test(every_recipient_is_named),
        cmocka_unit_test(other_letters_are_encoded_in_whole_characters),
        cmocka_unit_test(line_ends_become_those_of_mail),
        cmocka_unit_test(long_texts_have_short_lines),
        cmocka_unit_test(nothing_smuggles_a_header_or_a_recipient),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(a_mail_url_says_how_it_is_kept_secret),
        cmocka_unit_test(wrong_mail_urls_are_named_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
