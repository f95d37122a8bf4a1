package interfaces;

interface Named {
    byte name();
}
