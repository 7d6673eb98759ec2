import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Prints golden vectors, one JSON object per line: what Kafka's own Java classes write for every
 * request, response, header and consumer protocol message in every stable version.
 *
 * Two fills per message and version. "full": every field that the version has is set to a
 * pseudo-random value, tagged fields too, arrays hold one or two elements. "null": whatever may
 * be null is null and everything else keeps its default; arrays of structs hold one such struct,
 * and those that may be null are so by chance. Values depend only on the message's
 * name, version and fill, so that a second run prints the same bytes.
 */
public final class GoldenVectors {
    private static final long[] EDGES = {1, -1, 127, -128, 32767, -32768, Integer.MAX_VALUE, Integer.MIN_VALUE,
        Long.MAX_VALUE, Long.MIN_VALUE};

    private final Random random;
    private final boolean full;

    private GoldenVectors(String seed, boolean full) {
        this.random = new Random(seed.hashCode());
        this.full = full;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (ApiMessageType api : ApiMessageType.values()) {
            for (short v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(false); v++) {
                print(out, api.newRequest(), v, api.requestHeaderVersion(v));
                print(out, api.newResponse(), v, api.responseHeaderVersion(v));
            }
        }
        for (Message message : List.of(new RequestHeaderData(), new ResponseHeaderData(),
                new ConsumerProtocolSubscription(), new ConsumerProtocolAssignment())) {
            for (short v = message.lowestSupportedVersion(); v <= message.highestSupportedVersion(); v++) {
                print(out, message, v, -1);
            }
        }
        out.flush();
    }

    private static void print(PrintStream out, Message prototype, short version, int headerVersion)
            throws Exception {
        Class<?> cls = prototype.getClass();
        String name = cls.getSimpleName().replaceAll("Data$", "");
        Schema schema = ((Schema[]) cls.getField("SCHEMAS").get(null))[version];
        for (String fill : List.of("full", "null")) {
            Message message = (Message) cls.getConstructor().newInstance();
            new GoldenVectors(name + version + fill, fill.equals("full")).fill(message, schema);
            ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] encoded = new byte[bytes.remaining()];
            bytes.get(encoded);
            Method write = Class.forName(cls.getName() + "JsonConverter")
                .getMethod("write", cls, short.class, boolean.class);
            ObjectNode line = JsonNodeFactory.instance.objectNode();
            line.put("message", name).put("version", version).put("fill", fill);
            if (headerVersion >= 0) line.put("header", headerVersion);
            line.put("hex", HexFormat.of().formatHex(encoded));
            line.set("fields", (JsonNode) write.invoke(null, message, version, false));
            out.println(line);
        }
    }

    /** Sets the fields that this version of the struct has. */
    private void fill(Object struct, Schema schema) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields) {
                for (Field tagged : ((TaggedFields) bound.def.type).fields().values()) {
                    if (full) set(struct, tagged);
                }
            } else {
                set(struct, bound.def);
            }
        }
    }

    private void set(Object struct, Field field) throws Exception {
        Method setter = accessor(struct.getClass(), "set" + field.name, 1);
        if (full) {
            setter.invoke(struct, value(field.type, setter.getGenericParameterTypes()[0]));
        } else if (field.type.isArray() && field.type.arrayElementType().get() instanceof Schema
                && !(field.type.isNullable() && random.nextBoolean())) {
            setter.invoke(struct, value(field.type, setter.getGenericParameterTypes()[0]));
        } else if (field.type.isNullable()) {
            setter.invoke(struct, (Object) null);
        } else if (accessor(struct.getClass(), field.name, 0).invoke(struct) == null) {
            // null by default, which this version does not allow
            setter.invoke(struct, value(field.type, setter.getGenericParameterTypes()[0]));
        }
    }

    /** The method whose name equals a schema's snake_case name but for case and underscores. */
    private static Method accessor(Class<?> cls, String name, int parameters) {
        for (Method method : cls.getMethods()) {
            if (method.getParameterCount() == parameters && method.getName().equalsIgnoreCase(name.replace("_", ""))) {
                return method;
            }
        }
        throw new IllegalStateException(cls + " has no method for " + name);
    }

    private Object value(org.apache.kafka.common.protocol.types.Type type, Type javaType) throws Exception {
        if (type.isArray()) return elements(type.arrayElementType().get(), javaType);
        if (type instanceof Schema) {
            Object struct = ((Class<?>) javaType).getConstructor().newInstance();
            fill(struct, (Schema) type);
            return struct;
        }
        Class<?> cls = (Class<?>) javaType;
        if (cls == boolean.class || cls == Boolean.class) return true;
        if (cls == byte.class || cls == Byte.class) return (byte) number(8);
        if (cls == short.class || cls == Short.class) return (short) number(16);
        if (type == org.apache.kafka.common.protocol.types.Type.UINT16) return (int) number(16) & 0xffff;
        if (cls == int.class || cls == Integer.class) return (int) number(32);
        if (cls == long.class || cls == Long.class) return number(64);
        if (cls == double.class || cls == Double.class) return number(32) / 8.0;
        if (cls == String.class) return text();
        if (cls == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (cls == byte[].class) return bytes();
        if (cls == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (cls.getSimpleName().endsWith("Records")) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        throw new IllegalStateException("no value for " + javaType);
    }

    private Object elements(org.apache.kafka.common.protocol.types.Type type, Type javaType) throws Exception {
        Collection<Object> collection;
        Type elementType;
        if (javaType instanceof ParameterizedType) {
            collection = new ArrayList<>();
            elementType = ((ParameterizedType) javaType).getActualTypeArguments()[0];
        } else {
            collection = newCollection((Class<?>) javaType);
            elementType = ((ParameterizedType) ((Class<?>) javaType).getGenericSuperclass()).getActualTypeArguments()[0];
        }
        int count = full ? 1 + random.nextInt(2) : 1;
        for (int i = 0; i < count; i++) collection.add(value(type, elementType));
        return collection;
    }

    @SuppressWarnings("unchecked")
    private static Collection<Object> newCollection(Class<?> cls) throws Exception {
        Constructor<?> constructor = cls.getConstructor();
        return (Collection<Object>) constructor.newInstance();
    }

    /** A number that fits in so many bits, never zero; now and then one from the edge of a width. */
    private long number(int bits) {
        long value = random.nextInt(4) == 0 ? EDGES[random.nextInt(EDGES.length)] : 2 + random.nextInt(1 << 20);
        value = bits == 64 ? value : value << (64 - bits) >> (64 - bits);
        return value == 0 ? 5 : value;
    }

    /** Text with characters of one to four bytes; one in thirty needs a length of two bytes. */
    private String text() {
        String letter = List.of("a", "k", "é", "\u20ac", "\ud83d\ude80").get(random.nextInt(5));
        return random.nextInt(30) == 0 ? letter.repeat(130) : letter + random.nextInt(100);
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(30) == 0 ? 130 : 1 + random.nextInt(4)];
        random.nextBytes(bytes);
        return bytes;
    }
}
