package jp.jpkise.sim.host;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * Frames on a pair of streams.
 *
 * <pre>
 * frame   length (4, of what follows), type (1), fields
 * string  length (4), bytes
 * list    count (1), strings
 *
 * host to card                                          card to host
 * 01 HELLO       version (2)                            81 HELLO    version (2), count (1), then per package:
 * 02 INSTALL     package, module, instance,                         AID, major (1), minor (1), list of modules
 *                privileges, parameters                 82 DONE     string
 * 03 SELECT      channel (1), interface (1), instance   83 REFUSED  status word (2)
 * 04 DESELECT    channel (1)                            84 SERVICE  operation (1), channel (1), instance, string
 * 05 PROCESS     channel (1), interface (1),
 *                selecting (1), command
 * 06 ACCEPTS     instance                               While a request is under way the card may ask for services;
 * 07 PERSONALIZE channel (1), instance, command         the host answers each with RETURN or THROW before the card
 * 08 DELETE      list of instances                      ends the request with DONE or REFUSED.
 * 09 SETTLE      list of instances
 * 0A RESET
 * 0B CLASSES     package                                DONE carries: package name, list of classes that are modules in
 *                                                       the order of HELLO, number (2) of class files, then for each:
 *                                                       file name, content
 * 20 RETURN      string
 * 21 THROW       status word (2)
 * </pre>
 */
final class Link {
    static final int VERSION = 2;

    static final int HELLO = 0x01;
    static final int INSTALL = 0x02;
    static final int SELECT = 0x03;
    static final int DESELECT = 0x04;
    static final int PROCESS = 0x05;
    static final int ACCEPTS = 0x06;
    static final int PERSONALIZE = 0x07;
    static final int DELETE = 0x08;
    static final int SETTLE = 0x09;
    static final int RESET = 0x0A;
    static final int CLASSES = 0x0B;
    static final int RETURN = 0x20;
    static final int THROW = 0x21;

    static final int ANSWER_HELLO = 0x81;
    static final int DONE = 0x82;
    static final int REFUSED = 0x83;
    static final int SERVICE = 0x84;

    /** Longer than any APDU with what surrounds it; a frame beyond that is no frame. */
    private static final int MAX_FRAME = 1 << 20;

    private final DataInputStream in;
    private final OutputStream out;

    Link(InputStream in, OutputStream out) {
        this.in = new DataInputStream(new BufferedInputStream(in));
        this.out = out;
    }

    /** @return the next frame, or null when the host has closed the stream between two */
    Fields receive() throws IOException {
        int length;
        try {
            length = in.readInt();
        } catch (EOFException end) {
            return null;
        }
        if (length < 1 || length > MAX_FRAME) {
            throw new IOException("frame of " + length + " bytes");
        }
        byte[] frame = new byte[length];
        in.readFully(frame);
        return new Fields(frame);
    }

    void send(Frame frame) throws IOException {
        out.write(frame.bytes());
        out.flush();
    }
}
