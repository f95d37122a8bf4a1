package jp.jpkise.sim;

import org.globalplatform.CVM;
import org.globalplatform.GPSystem;
import org.globalplatform.SecureChannel;

/**
 * The card manager behind {@code org.globalplatform.GPSystem}: a test's stub, or the process that owns the real one.
 *
 * <p>Only the secure channel has to be given; the other services answer what a card answers to an application without
 * privileges.
 */
public interface GpProvider {
    /** @return the secure channel of the applet that runs now; asked anew for every use, never null */
    SecureChannel secureChannel();

    default byte cardContentState() {
        return GPSystem.APPLICATION_SELECTABLE;
    }

    default boolean setCardContentState(byte state) {
        return false;
    }

    default byte cardState() {
        return GPSystem.CARD_SECURED;
    }

    default CVM cvm(byte identifier) {
        return null;
    }

    default boolean lockCard() {
        return false;
    }

    default boolean terminateCard() {
        return false;
    }

    default boolean setHistoricalBytes(byte[] historical) {
        return false;
    }
}
