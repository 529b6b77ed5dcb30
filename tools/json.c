#include "json.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the UTF-8 character at text; 0 when there is none. */
static size_t json_utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead, length;
        uint32_t least;
    } rows[] = {{0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((text[0] & rows[i].mask) != rows[i].lead)
            continue;
        uint32_t code = text[0] & (unsigned char)~rows[i].mask;
        for (size_t n = 1; n < rows[i].length; n++) {
            if ((text[n] & 0xc0) != 0x80) /* NUL ends it here, too */
                return 0;
            code = code << 6 | (text[n] & 0x3f);
        }
        bool valid = code >= rows[i].least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        return valid ? rows[i].length : 0;
    }
    return 0;
}

void json_put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        size_t length = json_utf8_length(at);
        if (length == 0)
            fputs("\\ufffd", out);
        else if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(out, "\\u%04x", *at);
        else
            fwrite(at, 1, length, out);
        at += length != 0 ? length : 1;
    }
    fputc('"', out);
}

void json_put_tag(FILE *out, uint32_t tag)
{
    unsigned char bytes[sizeof(tag)];
    memcpy(bytes, &tag, sizeof(tag));
    fputc('"', out);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\';
        fprintf(out, plain ? "%c" : "\\u%04x", bytes[i]);
    }
    fputc('"', out);
}

void json_put_number(FILE *out, const char *key, uint64_t number)
{
    fprintf(out, ",\"%s\":%llu", key, (unsigned long long)number);
}

void json_put_word(FILE *out, const char *key, const char *text)
{
    fprintf(out, ",\"%s\":", key);
    if (text != NULL)
        json_put_text(out, text);
    else
        fputs("null", out);
}

void json_put_hex(FILE *out, const char *key, uint64_t number)
{
    fprintf(out, ",\"%s\":\"0x%llx\"", key, (unsigned long long)number);
}
