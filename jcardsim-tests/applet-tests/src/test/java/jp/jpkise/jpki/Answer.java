package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;

/** What came back: data and status word. */
record Answer(byte[] data, int sw) {
    static Answer parse(byte[] response) {
        int length = response.length - 2;
        int sw = (response[length] & 0xFF) << 8 | response[length + 1] & 0xFF;
        return new Answer(Arrays.copyOf(response, length), sw);
    }

    /** Expects that status word. */
    Answer sw(int expected, String when) {
        assertEquals(Integer.toHexString(expected), Integer.toHexString(sw), when);
        return this;
    }

    Answer sw(int expected) {
        return sw(expected, "status word");
    }

    /** Expects 9000. */
    Answer ok() {
        return sw(0x9000);
    }

    /** Expects that answer, in hexadecimal, with 9000. */
    void is(String hex) {
        ok();
        assertEquals(hex.replace(" ", "").toUpperCase(), Hex.of(data));
    }
}
