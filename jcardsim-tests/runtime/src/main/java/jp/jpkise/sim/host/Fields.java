package jp.jpkise.sim.host;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A frame being read; see {@link Link} for the layout. */
final class Fields {
    private final byte[] frame;
    private int at;

    Fields(byte[] frame) {
        this.frame = frame;
        this.at = 1;
    }

    int type() {
        return frame[0] & 0xFF;
    }

    int octet() throws IOException {
        if (at >= frame.length) {
            throw new IOException("frame " + Integer.toHexString(type()) + " ends too soon");
        }
        return frame[at++] & 0xFF;
    }

    int word() throws IOException {
        return octet() << 8 | octet();
    }

    byte[] string() throws IOException {
        int length = word() << 16 | word();
        if (length < 0 || length > frame.length - at) {
            throw new IOException("frame " + Integer.toHexString(type()) + " has a string of " + length + " bytes");
        }
        at += length;
        return Arrays.copyOfRange(frame, at - length, at);
    }

    List<byte[]> list() throws IOException {
        int count = octet();
        List<byte[]> strings = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            strings.add(string());
        }
        return strings;
    }
}
