package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import javacard.framework.ISOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** DER headers, each bound once. Behind the end there are always more bytes, so that reading them would show. */
class TlvTest {
    private static final byte[] MORE = new byte[300];

    private static byte[] withMore(String hex) {
        return Hex.join(Hex.bytes(hex), MORE);
    }

    @ParameterizedTest
    @CsvSource({"3000, 2", "3001AA, 3", "308100, 3", "308101AA, 4", "30820000, 4", "30820001AA, 5"})
    void an_element_ends_behind_its_value(String hex, int end) {
        assertEquals(end, Tlv.next(withMore(hex), (short) 0, (short) end));
        assertEquals(end, Tlv.next(withMore(hex), (short) 0, (short) 300));
        short content = (short) (end - (hex.endsWith("AA") ? 1 : 0));
        assertEquals(content, Tlv.content(withMore(hex), (short) 0, (short) end, (byte) 0x30));
    }

    @ParameterizedTest
    @CsvSource({"'', 0", "30, 1", "3001, 2", "3005AAAAAAAA, 6", "3081, 2", "308101, 3", "3082, 2", "308200, 3", "308201, 3",
        "30820001, 4", "3080, 300", "3083000000, 300", "3084, 300", "30FF, 300", "308201FF, 300", "30828000, 300",
        "3082FFFF, 300", "30827FFF, 300", "3081FF, 200"})
    void what_reaches_behind_the_end_or_is_not_der_is_6a80(String hex, int end) {
        byte[] data = withMore(hex);
        Arrays.fill(data, hex.length() / 2, data.length, (byte) 0);
        ISOException refused = assertThrows(ISOException.class, () -> Tlv.next(data, (short) 0, (short) end));
        assertEquals(0x6A80, refused.getReason());
    }

    /** At the end of a full file there are no more bytes to read by mistake. */
    @ParameterizedTest
    @ValueSource(strings = {"", "30", "3081", "3082", "308200", "3001"})
    void nothing_behind_the_array_is_touched(String hex) {
        byte[] data = Hex.bytes(hex);
        ISOException refused = assertThrows(ISOException.class, () -> Tlv.next(data, (short) 0, (short) data.length));
        assertEquals(0x6A80, refused.getReason());
    }

    @Test
    void another_tag_is_6a80() {
        ISOException refused = assertThrows(ISOException.class,
                () -> Tlv.content(withMore("3000"), (short) 0, (short) 2, (byte) 0x31));
        assertEquals(0x6A80, refused.getReason());
    }
}
