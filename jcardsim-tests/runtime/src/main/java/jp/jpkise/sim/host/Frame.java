package jp.jpkise.sim.host;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;

/** A frame being written; see {@link Link} for the layout. */
final class Frame {
    /** Length and type. */
    private static final int HEAD = 5;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream(300);

    Frame(int type) {
        integer(0);
        octet(type);
    }

    Frame octet(int value) {
        out.write(value);
        return this;
    }

    Frame word(int value) {
        return octet(value >> 8).octet(value);
    }

    Frame string(byte[] bytes) {
        integer(bytes.length);
        out.write(bytes, 0, bytes.length);
        return this;
    }

    Frame list(List<byte[]> strings) {
        octet(strings.size());
        strings.forEach(this::string);
        return this;
    }

    private void integer(int value) {
        word(value >> 16).word(value);
    }

    /** @return the fields alone, for a string of another frame */
    byte[] fields() {
        byte[] frame = out.toByteArray();
        return Arrays.copyOfRange(frame, HEAD, frame.length);
    }

    byte[] bytes() {
        byte[] frame = out.toByteArray();
        int length = frame.length - 4;
        for (int i = 0; i < 4; i++) {
            frame[i] = (byte) (length >> 24 - 8 * i);
        }
        return frame;
    }
}
