package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.licel.jcardsim.crypto.ByteContainer;
import java.math.BigInteger;
import java.util.Arrays;
import jp.jpkise.sim.CardRuntime;
import org.globalplatform.GPSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The work-arounds for jCardSim hold, and stand before what they replace. */
class ShimsTest {
    @Test
    void the_shims_classes_win_over_those_of_gp_api_and_jcardsim() throws ReflectiveOperationException {
        Object shims = CardRuntime.class.getProtectionDomain().getCodeSource();
        assertEquals(shims, GPSystem.class.getProtectionDomain().getCodeSource());
        assertEquals(shims, ByteContainer.class.getProtectionDomain().getCodeSource());
        assertEquals(shims, Class.forName("com.licel.jcardsim.crypto.SecureRandomNullProvider")
                .getProtectionDomain().getCodeSource());
    }

    @Test
    void a_key_component_reads_back_as_short_as_it_was_set() {
        ByteContainer component = new ByteContainer(new BigInteger("010203", 16));
        component.setBigInteger(BigInteger.valueOf(0x0405));
        assertEquals(BigInteger.valueOf(0x0405), component.getBigInteger());
        byte[] read = new byte[2];
        assertEquals(2, component.getBytes(read, (short) 0));
        assertArrayEquals(new byte[] {4, 5}, read);
        component.clear();
        assertTrue(!component.isInitialized());
    }

    @Test
    void two_cards_never_give_the_same_challenge() {
        byte[] first = TestCard.installed().send("0084000010").ok().data();
        assertFalse(Arrays.equals(first, TestCard.installed().send("0084000010").ok().data()));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "00", "00A404", "00A4020C0300", "00A4020C020006FFFF", "00B0000000FF", "00B000000000", "00B00000000000",
        "00200080000000", "0020008000FFFF", "0020008000000131", "002000800000013100", "00200080000001310000"})
    void a_malformed_or_extended_command_answers_6700(String command) {
        TestCard.installed().send(command).sw(0x6700);
    }

    @Test
    void the_longest_case_4_command_reaches_the_applet() {
        TestCard card = TestCard.active();
        card.verify(TestCard.AUTH).ok();
        assertEquals(256, card.sign(TestCard.AUTH, 3, new byte[255]).ok().data().length);
    }
}
