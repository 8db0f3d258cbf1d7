/* libcrypto's answers for published test vectors, through the assembly that its tables stand beside: FIPS 180-4
   (SHA-2), the GCM specification's test cases 4 and 16, RFC 6979 A.2.5 (P-256). Declares what it uses itself, so that
   it builds without the development package. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cipher CIPHER;
typedef struct cipher_context CONTEXT;
typedef struct digest DIGEST;
typedef struct big_number BIGNUM;
typedef struct ec_key EC_KEY;
typedef struct ecdsa_signature ECDSA_SIG;
const CIPHER* EVP_aes_128_gcm(void);
const CIPHER* EVP_aes_256_gcm(void);
CONTEXT* EVP_CIPHER_CTX_new(void);
int EVP_CipherInit_ex(CONTEXT*, const CIPHER*, void*, const unsigned char*, const unsigned char*, int);
int EVP_CipherUpdate(CONTEXT*, unsigned char*, int*, const unsigned char*, int);
int EVP_CipherFinal_ex(CONTEXT*, unsigned char*, int*);
int EVP_CIPHER_CTX_ctrl(CONTEXT*, int, int, void*);
const DIGEST* EVP_sha256(void);
const DIGEST* EVP_sha512(void);
int EVP_Digest(const void*, size_t, unsigned char*, unsigned*, const DIGEST*, void*);
int BN_hex2bn(BIGNUM**, const char*);
EC_KEY* EC_KEY_new_by_curve_name(int);
int EC_KEY_set_public_key_affine_coordinates(EC_KEY*, BIGNUM*, BIGNUM*);
int EC_KEY_set_private_key(EC_KEY*, const BIGNUM*);
ECDSA_SIG* ECDSA_SIG_new(void);
int ECDSA_SIG_set0(ECDSA_SIG*, BIGNUM*, BIGNUM*);
ECDSA_SIG* ECDSA_do_sign(const unsigned char*, int, EC_KEY*);
int ECDSA_do_verify(const unsigned char*, int, const ECDSA_SIG*, EC_KEY*);

static size_t bytes(const char* hex, unsigned char* to) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) sscanf(hex + 2 * i, "%2hhx", to + i);
    return n;
}

static void say(const char* what, int good) { printf("%s: %s\n", what, good ? "right" : "WRONG"); }

static void check_digest(const char* what, const DIGEST* digest, const char* text, size_t size, const char* expected) {
    unsigned char got[64], want[64];
    unsigned length = 0;
    EVP_Digest(text, size, got, &length, digest, NULL);
    size_t n = bytes(expected, want);
    say(what, length == n && memcmp(got, want, n) == 0);
}

static void check_gcm(const char* what, const CIPHER* cipher, const char* key_hex, const char* cipher_hex,
                      const char* tag_hex) {
    enum { kGetTag = 16, kSetTag = 17 };
    unsigned char key[32], iv[12], plain[64], more[32], want[64], tag[16], got[64], got_tag[16];
    bytes(key_hex, key);
    bytes("cafebabefacedbaddecaf888", iv);
    int more_size = (int)bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2", more), n;
    int size = (int)bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", plain);
    bytes(cipher_hex, want);
    bytes(tag_hex, tag);
    CONTEXT* context = EVP_CIPHER_CTX_new();
    EVP_CipherInit_ex(context, cipher, NULL, key, iv, 1);
    EVP_CipherUpdate(context, NULL, &n, more, more_size);
    EVP_CipherUpdate(context, got, &n, plain, size);
    EVP_CipherFinal_ex(context, got + n, &n);
    EVP_CIPHER_CTX_ctrl(context, kGetTag, 16, got_tag);
    say(what, memcmp(got, want, (size_t)size) == 0 && memcmp(got_tag, tag, 16) == 0);
    context = EVP_CIPHER_CTX_new();
    EVP_CipherInit_ex(context, cipher, NULL, key, iv, 0);
    EVP_CIPHER_CTX_ctrl(context, kSetTag, 16, tag);
    EVP_CipherUpdate(context, NULL, &n, more, more_size);
    EVP_CipherUpdate(context, got, &n, want, size);
    say("... and back", EVP_CipherFinal_ex(context, got + n, &n) == 1 && memcmp(got, plain, (size_t)size) == 0);
}

static void check_p256(void) {
    const int kCurve = 415; /* NID_X9_62_prime256v1 */
    unsigned char hash[64];
    unsigned length;
    BIGNUM *x = NULL, *y = NULL, *secret = NULL, *r = NULL, *s = NULL;
    BN_hex2bn(&x, "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
    BN_hex2bn(&y, "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");
    BN_hex2bn(&secret, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    BN_hex2bn(&r, "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716");
    BN_hex2bn(&s, "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
    EC_KEY* key = EC_KEY_new_by_curve_name(kCurve);
    say("P-256 point", EC_KEY_set_public_key_affine_coordinates(key, x, y) == 1);
    EC_KEY_set_private_key(key, secret);
    EVP_Digest("sample", 6, hash, &length, EVP_sha256(), NULL);
    ECDSA_SIG* signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, r, s);
    say("P-256 verifies a known signature", ECDSA_do_verify(hash, 32, signature, key) == 1);
    hash[0] ^= 1;
    say("... and refuses it for another text", ECDSA_do_verify(hash, 32, signature, key) == 0);
    ECDSA_SIG* own = ECDSA_do_sign(hash, 32, key);
    say("P-256 signs", own && ECDSA_do_verify(hash, 32, own, key) == 1);
}

int main(void) {
    enum { kMillion = 1000000 };
    char* many = malloc(kMillion);
    memset(many, 'a', kMillion);
    check_digest("SHA-256", EVP_sha256(), "abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest("SHA-256 of a million", EVP_sha256(), many, kMillion,
                 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    check_digest("SHA-512", EVP_sha512(), "abc", 3,
                 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    check_digest("SHA-512 of a million", EVP_sha512(), many, kMillion,
                 "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
                 "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
    check_gcm("AES-128-GCM", EVP_aes_128_gcm(), "feffe9928665731c6d6a8f9467308308",
              "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
              "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091", "5bc94fbc3221a5db94fae95ae7121a47");
    check_gcm("AES-256-GCM", EVP_aes_256_gcm(), "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
              "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
              "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662", "76fc6ece0f4e1768cddf8853bb2d551b");
    check_p256();
    return 0;
}
