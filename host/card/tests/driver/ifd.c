/* A reader for tests, as a driver of pcscd (IFD handler 3.0). The file named by DEVICENAME says what is the matter with
 * it, in one character:
 *
 *   A B  a card is in it, one or another      m  a card is in it that gives no ATR
 *   0    it is empty                          x  it is unplugged: the driver knows no such device
 *
 * A card answers every command with 90 00. There is one such reader at a time. */
#include <stdio.h>
#include <string.h>

typedef unsigned long DWORD;
typedef long RESPONSECODE;
typedef struct { DWORD Protocol, Length; } SCARD_IO_HEADER;

enum {
    IFD_SUCCESS = 0, IFD_POWER_DOWN = 501, IFD_ERROR_TAG = 600, IFD_ERROR_NOT_SUPPORTED = 606,
    IFD_ERROR_POWER_ACTION = 608, IFD_COMMUNICATION_ERROR = 612, IFD_NOT_SUPPORTED = 614,
    IFD_ICC_PRESENT = 615, IFD_ICC_NOT_PRESENT = 616, IFD_NO_SUCH_DEVICE = 617,
    TAG_IFD_SLOTS_NUMBER = 0x0FAE
};

static char path[4096];

static int state(void)
{
    FILE *file = fopen(path, "r");
    int state = file ? fgetc(file) : 'x';
    if (file)
        fclose(file);
    return state;
}

RESPONSECODE IFDHCreateChannelByName(DWORD lun, char *name)
{
    (void)lun;
    snprintf(path, sizeof path, "%s", name);
    return IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannel(DWORD lun, DWORD channel)
{
    (void)lun, (void)channel;
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHCloseChannel(DWORD lun)
{
    (void)lun;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, DWORD *length, unsigned char *value)
{
    (void)lun;
    if (tag != TAG_IFD_SLOTS_NUMBER || *length < 1)
        return IFD_ERROR_TAG;
    *length = 1;
    *value = 1;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHSetCapabilities(DWORD lun, DWORD tag, DWORD length, unsigned char *value)
{
    (void)lun, (void)tag, (void)length, (void)value;
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHSetProtocolParameters(DWORD lun, DWORD protocol, unsigned char flags, unsigned char pts1,
                                       unsigned char pts2, unsigned char pts3)
{
    (void)lun, (void)protocol, (void)flags, (void)pts1, (void)pts2, (void)pts3;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHPowerICC(DWORD lun, DWORD action, unsigned char *atr, DWORD *length)
{
    /* T=0 and T=1, one historical byte: which card it is. */
    unsigned char answer[] = {0x3B, 0x81, 0x80, 0x01, 0, 0};
    int card = state();
    (void)lun;
    if (action == IFD_POWER_DOWN)
        return IFD_SUCCESS;
    *length = 0;
    if (card != 'A' && card != 'B')
        return IFD_ERROR_POWER_ACTION;
    answer[4] = answer[5] = (unsigned char)card;
    memcpy(atr, answer, sizeof answer);
    *length = sizeof answer;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHTransmitToICC(DWORD lun, SCARD_IO_HEADER send, unsigned char *command, DWORD length,
                               unsigned char *answer, DWORD *answer_length, SCARD_IO_HEADER *receive)
{
    int card = state();
    (void)lun, (void)send, (void)command, (void)length, (void)receive;
    if ((card != 'A' && card != 'B') || *answer_length < 2) {
        *answer_length = 0;
        return IFD_COMMUNICATION_ERROR;
    }
    answer[0] = 0x90;
    answer[1] = 0x00;
    *answer_length = 2;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHICCPresence(DWORD lun)
{
    (void)lun;
    switch (state()) {
    case 'A':
    case 'B':
    case 'm':
        return IFD_ICC_PRESENT;
    case '0':
        return IFD_ICC_NOT_PRESENT;
    default:
        return IFD_NO_SUCH_DEVICE;
    }
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, unsigned char *send, DWORD send_length, unsigned char *receive,
                         DWORD receive_length, DWORD *returned)
{
    (void)lun, (void)code, (void)send, (void)send_length, (void)receive, (void)receive_length;
    *returned = 0;
    return IFD_ERROR_NOT_SUPPORTED;
}
