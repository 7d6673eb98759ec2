/* Kafka's primitive types on a socket, for null_broker.c: read piece by piece, written into one buffer.
 *
 * in:   a connected socket, whose bytes are anybody's
 * out:  numbers and names; `failed` when a length is not to be believed or the connection ended
 * Nothing is read beyond the frame: every length is checked against what is left of it.
 */
#ifndef NULL_BROKER_WIRE_H
#define NULL_BROKER_WIRE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_BYTES = 16 << 10,
    REPLY_BYTES_MAX = 16 << 20,
    NAME_BYTES_MAX = 249, /* Topic.MAX_NAME_LENGTH */
};

/* --- reading: a frame comes piece by piece; `failed` ends the connection */

struct reader {
    int socket;
    bool failed;
    int64_t frame_left; /* bytes of the frame that were not taken yet */
    size_t start, end;  /* of what `buffer` holds */
    uint8_t buffer[READ_BYTES];
};

static bool receive_some(struct reader *reader) {
    ssize_t got;
    memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
    do
        got = recv(reader->socket, reader->buffer + reader->end, READ_BYTES - reader->end, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    reader->end += (size_t)got;
    return true;
}

/* Return the next `count` bytes of the frame, or NULL. Valid until the next call. */
static const uint8_t *take(struct reader *reader, int64_t count) {
    reader->failed |= count < 0 || count > reader->frame_left || count > READ_BYTES;
    while (!reader->failed && reader->end - reader->start < (size_t)count)
        reader->failed = !receive_some(reader);
    if (reader->failed)
        return NULL;
    const uint8_t *bytes = reader->buffer + reader->start;
    reader->start += (size_t)count;
    reader->frame_left -= count;
    return bytes;
}

/* Pass over bytes of the frame; what is not here yet is discarded in the kernel. */
static void skip(struct reader *reader, int64_t count) {
    if (reader->failed || count < 0 || count > reader->frame_left) {
        reader->failed = true;
        return;
    }
    reader->frame_left -= count;
    int64_t here = (int64_t)(reader->end - reader->start);
    if (here > count)
        here = count;
    reader->start += (size_t)here;
    count -= here;
    while (count > 0) {
        ssize_t got = recv(reader->socket, NULL, (size_t)count, MSG_TRUNC | MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            reader->failed = true;
            return;
        }
        count -= got;
    }
}

static int64_t read_integer(struct reader *reader, int width) {
    const uint8_t *bytes = take(reader, width);
    if (bytes == NULL)
        return 0;
    uint64_t value = 0;
    for (int index = 0; index < width; index++)
        value = value << 8 | bytes[index];
    int spare = 64 - 8 * width;
    return (int64_t)(value << spare) >> spare;
}

static uint32_t read_unsigned_varint(struct reader *reader) {
    uint32_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte = take(reader, 1);
        if (byte == NULL)
            return 0;
        value |= (uint32_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

/* Length of an array, bytes or string: -1 is null. `width` is that of the old form. */
static int64_t read_length(struct reader *reader, bool flexible, int width) {
    int64_t length = flexible ? (int64_t)read_unsigned_varint(reader) - 1 : read_integer(reader, width);
    if (length < -1 || length > reader->frame_left)
        reader->failed = true; /* each element takes at least a byte */
    return reader->failed ? -1 : length;
}

/* Copy a name that must not be longer than a topic's; return false when it is null. */
static bool read_name(struct reader *reader, bool flexible, char *name) {
    int64_t length = read_length(reader, flexible, 2);
    name[0] = 0;
    if (length > NAME_BYTES_MAX)
        reader->failed = true;
    const uint8_t *bytes = length < 0 ? NULL : take(reader, length);
    if (bytes == NULL)
        return false;
    memcpy(name, bytes, (size_t)length);
    name[length] = 0;
    return strlen(name) == (size_t)length;
}

static void skip_string(struct reader *reader, bool flexible) {
    int64_t length = read_length(reader, flexible, 2);
    skip(reader, length < 0 ? 0 : length);
}

static void skip_tags(struct reader *reader, bool flexible) {
    if (!flexible)
        return;
    for (uint32_t left = read_unsigned_varint(reader); left > 0 && !reader->failed; left--) {
        read_unsigned_varint(reader);
        skip(reader, read_unsigned_varint(reader));
    }
}

/* --- writing */

struct reply {
    uint8_t *bytes;
    size_t size, capacity;
    bool failed, flexible;
};

static void put(struct reply *reply, const void *bytes, size_t count) {
    if (reply->failed || reply->size + count > REPLY_BYTES_MAX) {
        reply->failed = true;
        return;
    }
    if (reply->size + count > reply->capacity) {
        size_t capacity = (reply->size + count) * 2;
        uint8_t *grown = realloc(reply->bytes, capacity);
        if (grown == NULL) {
            reply->failed = true;
            return;
        }
        reply->bytes = grown;
        reply->capacity = capacity;
    }
    memcpy(reply->bytes + reply->size, bytes, count);
    reply->size += count;
}

static void put_integer(struct reply *reply, int64_t value, int width) {
    uint8_t bytes[8];
    for (int index = 0; index < width; index++)
        bytes[index] = (uint8_t)((uint64_t)value >> 8 * (width - 1 - index));
    put(reply, bytes, (size_t)width);
}

static void put_unsigned_varint(struct reply *reply, uint32_t value) {
    for (; value >= 0x80; value >>= 7)
        put_integer(reply, (value & 0x7f) | 0x80, 1);
    put_integer(reply, value, 1);
}

static void put_length(struct reply *reply, int64_t length, int width) {
    if (reply->flexible)
        put_unsigned_varint(reply, (uint32_t)(length + 1));
    else
        put_integer(reply, length, width);
}

static void put_string(struct reply *reply, const char *text) {
    put_length(reply, (int64_t)strlen(text), 2);
    put(reply, text, strlen(text));
}

static void put_no_tags(struct reply *reply) {
    if (reply->flexible)
        put_unsigned_varint(reply, 0);
}

/* Begin a reply: its length comes first and is known last. */
static void begin_reply(struct reply *reply, int32_t correlation_id, bool flexible) {
    reply->size = 0;
    reply->flexible = flexible;
    put_integer(reply, 0, 4);
    put_integer(reply, correlation_id, 4);
}

static bool send_reply(int socket, struct reply *reply) {
    size_t size = reply->size, sent = 0;
    reply->size = 0;
    put_integer(reply, (int64_t)size - 4, 4);
    while (sent < size) {
        ssize_t count = send(socket, reply->bytes + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

#endif
