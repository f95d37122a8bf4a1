package handlers;

import javacard.framework.CardRuntimeException;

public class OwnException extends CardRuntimeException {
    public OwnException(short reason) {
        super(reason);
    }
}
