/** The part of the npm package jsonwebtoken that the tests use. The package has no types of its own. */
declare module 'jsonwebtoken' {
  interface SignOptions {
    algorithm?: string;
    /** A number counts seconds. */
    expiresIn?: string | number;
  }
  const jsonwebtoken: {
    sign(claims: object, secret: string, options?: SignOptions): string;
    /** Reads the claims without checking the signature. */
    decode(token: string): { exp: number };
  };
  export default jsonwebtoken;
}
