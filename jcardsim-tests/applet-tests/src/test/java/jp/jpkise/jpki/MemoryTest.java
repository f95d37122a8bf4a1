package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Nothing is created after installation. What {@code new} would create, SubsetTest finds; here, transient arrays. */
class MemoryTest {
    @Test
    void transient_memory_is_what_the_plan_says_and_stays_so_over_10000_commands() {
        TestCard card = TestCard.active();
        int arrays = card.runtime.memory().appletArrays();
        int bytes = card.runtime.memory().appletBytes();
        // The plan's 310 bytes, and the validated flags of the two OwnerPINs.
        assertEquals(310, bytes - 2);
        assertTrue(bytes <= 600, "the design's budget");
        Random random = new Random(7);
        for (int i = 0; i < 10_000; i++) {
            switch (random.nextInt(12)) {
                case 0 -> card.select();
                case 1 -> card.verify(TestCard.AUTH).ok();
                case 2 -> card.verify(TestCard.SIGN).ok();
                case 3 -> card.sign(TestCard.AUTH, i % 6, new byte[32]);
                case 4 -> card.read(0x0A, 0, 0);
                case 5 -> card.openChannel();
                case 6 -> card.secure("84CADF32", new byte[16]);
                case 7 -> card.storeData(TestCard.dgi(0x0006, new byte[160]));
                case 8 -> card.send("0084000000").ok();
                case 9 -> card.change(TestCard.AUTH, TestCard.PIN, TestCard.PIN);
                case 10 -> card.send("802A0397", new byte[100], 0);
                default -> card.secure("84CA7F49", new byte[] {2, 0});
            }
        }
        card.openChannel().admin(0xE4, 0xFF).ok();
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        assertEquals(arrays, card.runtime.memory().appletArrays());
        assertEquals(bytes, card.runtime.memory().appletBytes());
    }
}
