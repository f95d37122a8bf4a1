package shareable;

import javacard.framework.Shareable;

public interface Service extends Shareable {
    short ask(byte[] buffer, short offset);
}
